/* The upstream's connections, and those of them whose answer waits for its time. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "wire.h"

#include <stdbool.h>

typedef struct connection {
    int fd;
    bool dead;
    bool closing;   /* after this answer */
    bool waiting;   /* for the socket to take more */
    buffer in, out; /* out: `sent` of it is on its way */
    size_t sent;
    /* The answer in progress. */
    bool busy, stream, begun, usage;
    const dialect *speaks;
    long chunks, written;
    size_t size;
    uint64_t due, gap;
    int place; /* in the heap of answers that wait; -1: not in it */
    struct connection *next_dead;
} connection;

/* What has been counted since the start; `open` connections and `answering` are now. */
extern struct counts {
    unsigned long requests, connections, open, answering, chunks, aborted, otlp_posts, otlp_bytes;
} seen;

extern int poller; /* of epoll */

/* Takes every connection that waits at the listener. */
void accept_all(int listener);

/* Reads what is there; hangs up where the other side has. */
void receive(connection *c);

/* Sends what of `out` the socket takes; epoll tells (EPOLLOUT) when it takes more. */
void send_out(connection *c);

void hang_up(connection *c);

/* Frees those hung up: at the end of a round, for its events may still name them. */
void free_dead(void);

/* Puts an answer among those that wait, by `due`. */
void wait_until_due(connection *c);

/* Takes the earliest out whose time has come; NULL: there is none. */
connection *next_due(uint64_t now);

/* When the earliest is due; UINT64_MAX: none waits. */
uint64_t earliest_due(void);

#endif
