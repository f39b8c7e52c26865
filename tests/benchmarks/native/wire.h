/* What the upstream says: sections of text with places to fill in (see wire/README.md). */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Bytes that grow. */
typedef struct {
    char *bytes;
    size_t length, room;
} buffer;

void buffer_add(buffer *to, const void *bytes, size_t length);

enum section { WHOLE, FIRST, CHUNK, LAST, USAGE, END, ERROR, SECTIONS };

/* A run of fixed bytes (`place` is NUL), or a place to fill in (the first letter of its name). */
typedef struct {
    char place;
    char *bytes;
    size_t length;
} piece;

typedef struct {
    piece *pieces;
    int count;
} template;

/* One API: its sections. One that the file does not have is empty. */
typedef struct {
    template sections[SECTIONS];
} dialect;

/* What goes into the places. */
typedef struct {
    const char *text;
    size_t text_length;
    int marked; /* whether $MARK is written at all: not where answers are to be broken */
    long count; /* output tokens */
} filling;

/* Reads `FOLDER/NAME.txt`, to be kept; ends the program where it cannot. */
char *file_read(const char *folder, const char *name, size_t *length);

/* Reads a file of sections; ends the program where it cannot. */
void dialect_load(dialect *to, const char *folder, const char *name);

/* Appends a section with its places filled in. */
void section_write(buffer *to, const dialect *of, enum section which, const filling *with);

static inline uint64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

#endif
