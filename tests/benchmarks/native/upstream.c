/* The providers of the benchmark: OpenAI, Anthropic and Gemini, whole and streamed, and an OTLP
 * collector that throws away what it gets and counts it. One thread, epoll, loopback only.
 *
 *     upstream --wire FOLDER [--port P] [--seconds S] [--broken status|cut|short|endless]
 *
 * Prints `port N` once it listens, and ends after S seconds (default 3,600) or with its parent.
 *
 * The prompt steers an answer, from anywhere in the body, so that it survives a translation:
 *     [bench chunks=40 gap=100 first=0 size=900]
 *   chunks  pieces of text in a stream         gap    milliseconds between them; 0: as fast as read
 *   size    bytes of text in a whole answer    first  milliseconds before the first byte
 *
 * --broken makes answers wrong, to see that a benchmark of errors fails: another status; the
 * connection cut in the middle; an answer that looks complete and lacks its last piece; a stream
 * with all its pieces and no last event.
 *
 * GET /stats tells, as JSON, what it has seen.
 */
#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_CHUNKS 100000
#define MOST_TEXT 1000000

enum { OPENAI, ANTHROPIC, GEMINI, DIALECTS };
enum { SOUND, BAD_STATUS, CUT, SHORT, ENDLESS, MODES };

static int broken;
static dialect dialects[DIALECTS];
static char *lorem; /* MOST_TEXT bytes of text */

static void say(connection *c, const char *text) { buffer_add(&c->out, text, strlen(text)); }

/* --- answers --------------------------------------------------------------------------------- */

static void whole(connection *c, const char *status, const char *type, const buffer *body) {
    char head[256];
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, type,
             body->length, c->closing ? "Connection: close\r\n" : "");
    say(c, head);
    /* Half of what was promised; the connection is closed after it. */
    bool half = broken == CUT && c->speaks;
    buffer_add(&c->out, body->bytes, half ? body->length / 2 : body->length);
    c->closing |= half;
}

/* One event of a stream, in an HTTP chunk of its own. */
static void event(connection *c, enum section which) {
    static buffer body;
    char size[24];
    filling with = {lorem, 0, 1, c->written};
    body.length = 0;
    section_write(&body, c->speaks, which, &with);
    if (!body.length) return;
    snprintf(size, sizeof size, "%zx\r\n", body.length);
    say(c, size);
    buffer_add(&c->out, body.bytes, body.length);
    say(c, "\r\n");
}

static void answered(connection *c);

static void answer_whole(connection *c) {
    static buffer body;
    bool failed = broken == BAD_STATUS;
    filling with = {lorem, c->size, broken != SHORT, (long)c->size / 4};
    body.length = 0;
    section_write(&body, c->speaks, failed ? ERROR : WHOLE, &with);
    whole(c, failed ? "500 Internal Server Error" : "200 OK", "application/json", &body);
    send_out(c);
    answered(c);
}

/* Takes an answer one step further: called when it is due, or when the socket takes more again. */
static void advance(connection *c) {
    if (c->dead || !c->busy || c->sent < c->out.length) return; /* a slow reader: EPOLLOUT calls */
    if (!c->stream || broken == BAD_STATUS) {
        answer_whole(c);
        return;
    }
    if (!c->begun) {
        say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
               "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");
        event(c, FIRST);
        c->begun = true;
    }
    if (c->written < c->chunks) {
        c->written++;
        seen.chunks++;
        if (broken != SHORT || c->written < c->chunks) event(c, CHUNK);
    }
    if (broken == CUT && c->written * 2 >= c->chunks) {
        send_out(c);
        hang_up(c);
        return;
    }
    if (c->written >= c->chunks) {
        for (enum section at = LAST; at <= END && broken != ENDLESS; at++)
            if (at != USAGE || c->usage) event(c, at);
        say(c, "0\r\n\r\n");
        send_out(c);
        answered(c);
        return;
    }
    send_out(c); /* one piece, one write: as a model makes them */
    if (c->dead) return;
    c->due = c->gap ? c->due + c->gap : 0;
    wait_until_due(c);
}

/* --- requests -------------------------------------------------------------------------------- */

static bool has(const char *in, size_t length, const char *text) {
    return memmem(in, length, text, strlen(text)) != NULL;
}

/* Whether a body has `"name": true`, with or without the space. */
static bool is_true(const char *body, size_t length, const char *name) {
    const char *end = body + length, *at = body;
    while ((at = memmem(at, (size_t)(end - at), name, strlen(name)))) {
        at += strlen(name);
        while (at < end && (*at == ' ' || *at == ':')) at++;
        if (end - at >= 4 && !memcmp(at, "true", 4)) return true;
    }
    return false;
}

static double between(double least, double value, double most) {
    return value < least ? least : value > most ? most : value;
}

/* Reads `[bench name=number …]`; the body ends with a NUL. */
static double steer(connection *c, const char *body, size_t length) {
    double first = 0;
    const char *at = memmem(body, length, "[bench ", 7);
    c->chunks = 20;
    c->gap = 0;
    c->size = 900;
    for (at = at ? at + 7 : ""; *at && *at != ']'; at += *at == ' ') {
        const char *equals = strchr(at, '=');
        if (!equals) break;
        char *after;
        double value = strtod(equals + 1, &after);
        if (!strncmp(at, "chunks", 6)) c->chunks = (long)between(1, value, MOST_CHUNKS);
        if (!strncmp(at, "gap", 3)) c->gap = (uint64_t)(between(0, value, 600000) * 1e6);
        if (!strncmp(at, "size", 4)) c->size = (size_t)between(0, value, MOST_TEXT);
        if (!strncmp(at, "first", 5)) first = between(0, value, 600000) * 1e6;
        if (after == equals + 1) break;
        at = after;
    }
    return first;
}

static void tell_stats(connection *c) {
    char text[512];
    int n = snprintf(text, sizeof text,
                     "{\"requests\": %lu, \"connections\": %lu, \"open\": %lu, \"answering\": %lu, "
                     "\"chunks\": %lu, \"aborted\": %lu, \"otlp_posts\": %lu, \"otlp_bytes\": %lu}",
                     seen.requests, seen.connections, seen.open,
                     seen.answering - 1 /* without this one */, seen.chunks,
                     seen.aborted, seen.otlp_posts, seen.otlp_bytes);
    buffer body = {text, (size_t)n, 0};
    whole(c, "200 OK", "application/json", &body);
}

/* Begins to answer one request. `line` is its first line. */
static void take(connection *c, const char *line, size_t line_length, char *body, size_t length) {
    static const buffer nothing;
    c->busy = true;
    seen.answering++;
    c->begun = c->stream = c->usage = false;
    c->written = 0;
    c->speaks = NULL;
    if (has(line, line_length, " /v1/traces ") || has(line, line_length, " /v1/metrics ") ||
        has(line, line_length, " /v1/logs ")) {
        seen.otlp_posts++;
        seen.otlp_bytes += length;
        whole(c, "200 OK", "application/x-protobuf", &nothing);
    } else if (!strncmp(line, "GET ", 4)) {
        tell_stats(c);
    } else {
        seen.requests++;
        bool google = has(line, line_length, "enerateContent");
        bool anthropic = has(line, line_length, "/messages");
        c->speaks = &dialects[google ? GEMINI : anthropic ? ANTHROPIC : OPENAI];
        c->stream = google ? has(line, line_length, ":stream") : is_true(body, length, "\"stream\"");
        c->usage = is_true(body, length, "\"include_usage\"");
        double first = steer(c, body, length);
        c->due = now_ns() + (uint64_t)first;
        if (first > 0)
            wait_until_due(c);
        else
            advance(c);
        return;
    }
    send_out(c);
    answered(c);
}

/* Puts a body sent in HTTP chunks together, in place. Returns where it ended; NULL: not yet. */
static char *join_chunks(char *body, char *end, size_t *length) {
    char *to = body;
    for (int copying = 0; copying < 2; copying++) {
        for (char *at = body;;) {
            char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
            if (!line) return NULL;
            size_t size = strtoul(at, NULL, 16);
            if ((size_t)(end - line) < size + 4) return NULL;
            at = line + 2;
            if (copying) memmove(to, at, size), to += size;
            at += size + 2;
            if (size) continue;
            if (!copying) break;
            *length = (size_t)(to - body);
            return at;
        }
    }
    return NULL;
}

/* Takes the next request that is there whole. */
static void next_request(connection *c) {
    char *text = c->in.bytes, *end = text + c->in.length, *after;
    char *head_end = memmem(text, c->in.length, "\r\n\r\n", 4);
    if (!head_end) return;
    char *body = head_end + 4, *line_end = memmem(text, c->in.length, "\r\n", 2);
    size_t length = 0;
    bool in_chunks = false;
    for (char *at = line_end + 2; at < head_end;) {
        char *next = memmem(at, (size_t)(head_end + 2 - at), "\r\n", 2);
        if (!strncasecmp(at, "content-length:", 15)) length = strtoul(at + 15, NULL, 10);
        if (!strncasecmp(at, "transfer-encoding:", 18)) in_chunks = true;
        if (!strncasecmp(at, "connection:", 11) && has(at, (size_t)(next - at), "close"))
            c->closing = true;
        at = next + 2;
    }
    if (in_chunks) {
        after = join_chunks(body, end, &length);
        if (!after) return;
    } else {
        if ((size_t)(end - body) < length) return;
        after = body + length;
    }
    char kept = body[length];
    body[length] = 0; /* there is room: see `receive` */
    take(c, text, (size_t)(line_end - text), body, length);
    body[length] = kept;
    c->in.length = (size_t)(end - after);
    memmove(text, after, c->in.length);
}

/* The answer is written, though perhaps not all sent. */
static void answered(connection *c) {
    if (c->dead) return;
    c->busy = false;
    seen.answering--;
    if (c->closing && c->sent == c->out.length) hang_up(c);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void serve(connection *c, uint32_t events) {
    if (!c->dead && events & EPOLLOUT) {
        send_out(c);
        if (!c->dead && c->sent == c->out.length) {
            if (c->busy && c->place < 0)
                advance(c);
            else if (c->closing && !c->busy)
                hang_up(c);
        }
    }
    if (!c->dead && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    while (!c->dead && !c->busy && c->in.length) {
        size_t before = c->in.length;
        next_request(c);
        if (c->in.length == before) break;
    }
}

static void run(int listener, uint64_t end) {
    static struct epoll_event events[512];
    for (uint64_t now = now_ns(); now < end; now = now_ns()) {
        uint64_t until = earliest_due() < end ? earliest_due() : end;
        uint64_t rest = until > now ? until - now : 0;
        struct timespec patience = {(time_t)(rest / 1000000000), (long)(rest % 1000000000)};
        int n = epoll_pwait2(poller, events, 512, &patience, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else
                accept_all(listener);
        }
        now = now_ns();
        connection *c;
        for (int most = 512; most && (c = next_due(now)); most--) {
            advance(c);
            if (!c->dead && !c->busy && c->in.length) serve(c, 0);
        }
        free_dead();
    }
}

static int listen_on(int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096) ||
        getsockname(fd, (void *)&address, &length)) {
        perror("upstream");
        exit(1);
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int count, char **words) {
    static const char *const NAMES[MODES] = {"no", "status", "cut", "short", "endless"};
    const char *folder = "wire";
    double seconds = 3600;
    int port = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--port")) port = atoi(words[i + 1]);
        if (!strcmp(words[i], "--wire")) folder = words[i + 1];
        if (!strcmp(words[i], "--seconds")) seconds = between(1, atof(words[i + 1]), 86400);
        if (!strcmp(words[i], "--broken"))
            for (int mode = 0; mode < MODES; mode++)
                if (!strcmp(words[i + 1], NAMES[mode])) broken = mode;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    size_t length;
    char *sentence = file_read(folder, "sentence", &length);
    lorem = malloc(MOST_TEXT);
    if (!lorem) abort();
    for (size_t i = 0; i < MOST_TEXT; i++) lorem[i] = sentence[i % length];
    dialect_load(&dialects[OPENAI], folder, "openai_chat");
    dialect_load(&dialects[ANTHROPIC], folder, "anthropic_messages");
    dialect_load(&dialects[GEMINI], folder, "gemini_generate");
    int listener = listen_on(port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    run(listener, now_ns() + (uint64_t)(seconds * 1e9));
    return 0;
}
