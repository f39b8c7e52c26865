/* One HTTP/1.1 response as its bytes come in, and what the benchmark wants to know of its body. */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include "samples.h"

#include <stdbool.h>
#include <stddef.h>

#define MOST_HEAD 16384
#define TAIL 512

typedef struct {
    /* The head, until its empty line. */
    char head[MOST_HEAD + 1];
    size_t head_length;
    int status;
    bool closes;
    /* The body. */
    enum { HEAD, COUNTED, UNTIL_CLOSE, SIZE_LINE, CHUNK_BYTES, CHUNK_END, TRAILER, DONE, BAD } at;
    uint64_t left, body_bytes;
    bool size_ends, line_empty;
    char tail[TAIL + 1]; /* its last bytes */
    size_t tail_length;
    /* Marks, `@T` + 18 digits + `@`: when the upstream wrote that piece of text. */
    long marks;
    int mark_at;
    uint64_t mark;
    int64_t first_mark; /* when the first one came in; 0: none yet */
} response;

void response_begin(response *r);

/* Takes bytes that came in at `now`, up to the response's end; returns how many that were.
 * The way of each mark is added to `transit`, unless that is NULL. */
size_t response_feed(response *r, const char *bytes, size_t length, int64_t now, samples *transit);

/* The connection was closed: whether the response ends so. */
bool response_close(response *r);

#endif
