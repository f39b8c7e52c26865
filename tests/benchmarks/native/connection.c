/* The upstream's connections: sockets, buffers, and a heap of those that wait. */
#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_BODY (64u << 20)

struct counts seen;
int poller;
static connection *dead_ones;

/* --- answers that wait, the earliest first: a binary heap ------------------------------------ */

static connection **heap;
static int heap_length, heap_room;

static void place(connection *c, int at) {
    heap[at] = c;
    c->place = at;
}

static void sift(int at) {
    connection *c = heap[at];
    while (at && heap[(at - 1) / 2]->due > c->due) {
        place(heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    for (;;) {
        int child = 2 * at + 1;
        if (child + 1 < heap_length && heap[child + 1]->due < heap[child]->due) child++;
        if (child >= heap_length || heap[child]->due >= c->due) break;
        place(heap[child], at);
        at = child;
    }
    place(c, at);
}

void wait_until_due(connection *c) {
    if (c->place < 0) {
        if (heap_length == heap_room) {
            heap_room = heap_room ? heap_room * 2 : 256;
            heap = realloc(heap, sizeof *heap * (size_t)heap_room);
            if (!heap) abort();
        }
        place(c, heap_length++);
    }
    sift(c->place);
}

static void wait_no_more(connection *c) {
    int at = c->place;
    if (at < 0) return;
    c->place = -1;
    if (at == --heap_length) return;
    place(heap[heap_length], at);
    sift(at);
}

connection *next_due(uint64_t now) {
    if (!heap_length || heap[0]->due > now) return NULL;
    connection *c = heap[0];
    wait_no_more(c);
    return c;
}

uint64_t earliest_due(void) { return heap_length ? heap[0]->due : UINT64_MAX; }

/* --- connections ----------------------------------------------------------------------------- */

void hang_up(connection *c) {
    if (c->dead) return;
    seen.aborted += c->busy;
    seen.answering -= c->busy;
    seen.open--;
    wait_no_more(c);
    close(c->fd);
    c->dead = true; /* freed at the end of the round: events of this one may still name it */
    c->next_dead = dead_ones;
    dead_ones = c;
}

static void watch(connection *c, bool for_writing) {
    struct epoll_event event = {.events = EPOLLIN | (for_writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->waiting = for_writing;
}

void send_out(connection *c) {
    while (c->sent < c->out.length) {
        ssize_t n = send(c->fd, c->out.bytes + c->sent, c->out.length - c->sent, MSG_NOSIGNAL);
        if (n > 0) {
            c->sent += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (!c->waiting) watch(c, true);
            return;
        } else if (n < 0 && errno != EINTR) {
            hang_up(c);
            return;
        }
    }
    c->out.length = c->sent = 0;
    if (c->waiting) watch(c, false);
}

void receive(connection *c) {
    if (c->in.room < c->in.length + 65536) {
        c->in.room = c->in.length * 2 + 65536 + 1;
        c->in.bytes = realloc(c->in.bytes, c->in.room);
        if (!c->in.bytes) abort();
    }
    ssize_t n = recv(c->fd, c->in.bytes + c->in.length, c->in.room - c->in.length - 1, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || c->in.length > MOST_BODY) {
        hang_up(c);
        return;
    }
    c->in.length += (size_t)n;
}

void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        connection *c = calloc(1, sizeof *c);
        if (!c) abort();
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        c->place = -1;
        seen.connections++;
        seen.open++;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

void free_dead(void) {
    while (dead_ones) {
        connection *c = dead_ones;
        dead_ones = c->next_dead;
        free(c->in.bytes);
        free(c->out.bytes);
        free(c);
    }
}
