/* Reads HTTP/1.1 responses: bodies with a length, in chunks, or up to the close. */
#define _GNU_SOURCE
#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MARK_DIGITS 18

void response_begin(response *r) {
    r->head_length = r->tail_length = 0;
    r->status = 0;
    r->closes = false;
    r->at = HEAD;
    r->left = r->body_bytes = 0;
    r->marks = 0;
    r->mark_at = 0;
    r->first_mark = 0;
}

static void keep_tail(response *r, const char *bytes, size_t length) {
    if (length >= TAIL) {
        memcpy(r->tail, bytes + length - TAIL, TAIL);
        r->tail_length = TAIL;
    } else {
        if (r->tail_length + length > TAIL) {
            size_t kept = TAIL - length;
            memmove(r->tail, r->tail + r->tail_length - kept, kept);
            r->tail_length = kept;
        }
        memcpy(r->tail + r->tail_length, bytes, length);
        r->tail_length += length;
    }
    r->tail[r->tail_length] = 0;
}

/* Looks for marks; one may lie across two pieces of the body. */
static void body(response *r, const char *bytes, size_t length, int64_t now, samples *transit) {
    const char *end = bytes + length;
    r->body_bytes += length;
    keep_tail(r, bytes, length);
    while (bytes < end) {
        if (r->mark_at == 0) {
            bytes = memchr(bytes, '@', (size_t)(end - bytes));
            if (!bytes) return;
            r->mark_at = 1;
            r->mark = 0;
        } else if (r->mark_at == 1 && *bytes == 'T') {
            r->mark_at = 2;
        } else if (r->mark_at >= 2 && r->mark_at < 2 + MARK_DIGITS && *bytes >= '0' &&
                   *bytes <= '9') {
            r->mark = r->mark * 10 + (uint64_t)(*bytes - '0');
            r->mark_at++;
        } else if (r->mark_at == 2 + MARK_DIGITS && *bytes == '@') {
            r->mark_at = 0;
            r->marks++;
            if (!r->first_mark) r->first_mark = now;
            if (transit) samples_add(transit, now - (int64_t)r->mark);
        } else {
            r->mark_at = 0;
            if (*bytes == '@') continue; /* it may begin one */
        }
        bytes++;
    }
}

static const char *header(const response *r, const char *name) {
    const char *at = strcasestr(r->head, name);
    return at ? at + strlen(name) : NULL;
}

static void head_is_whole(response *r) {
    const char *length = header(r, "\r\ncontent-length:");
    const char *connection = header(r, "\r\nconnection: close");
    r->status = r->head_length > 12 ? atoi(r->head + 9) : 0;
    if (r->status == 100) {
        r->head_length = 0;
        return;
    }
    r->closes = connection != NULL;
    if (header(r, "\r\ntransfer-encoding: chunked")) {
        r->at = SIZE_LINE;
        r->left = 0;
        r->size_ends = false;
    } else if (length) {
        r->left = strtoull(length, NULL, 10);
        r->at = r->left ? COUNTED : DONE;
    } else {
        r->at = UNTIL_CLOSE;
        r->closes = true;
    }
}

/* Takes one byte at a time: heads are short. */
static void head(response *r, char byte) {
    if (r->head_length == MOST_HEAD) {
        r->at = BAD;
        return;
    }
    r->head[r->head_length++] = byte;
    r->head[r->head_length] = 0;
    if (byte == '\n' && r->head_length >= 4 && !memcmp(r->head + r->head_length - 4, "\r\n\r\n", 4))
        head_is_whole(r);
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What frames the chunks: a line with a size, the line's end after a chunk, the trailer. */
static void frame(response *r, char byte) {
    if (r->at == SIZE_LINE) {
        if (byte == '\n') {
            r->at = r->left ? CHUNK_BYTES : TRAILER;
            r->line_empty = true;
        } else if (byte == ';') {
            r->size_ends = true;
        } else if (!r->size_ends && digit(byte) >= 0) {
            r->left = r->left * 16 + (uint64_t)digit(byte);
        }
    } else if (byte == '\n' && r->at == CHUNK_END) {
        r->at = SIZE_LINE;
        r->left = 0;
        r->size_ends = false;
    } else if (r->at == TRAILER) {
        if (byte == '\n' && r->line_empty) r->at = DONE;
        r->line_empty = byte == '\n' || (byte == '\r' && r->line_empty);
    }
}

size_t response_feed(response *r, const char *bytes, size_t length, int64_t now, samples *transit) {
    const char *at = bytes, *end = bytes + length;
    while (at < end && r->at < DONE) {
        if (r->at == HEAD) {
            head(r, *at++);
        } else if (r->at == COUNTED || r->at == CHUNK_BYTES || r->at == UNTIL_CLOSE) {
            size_t n = (size_t)(end - at);
            if (r->at != UNTIL_CLOSE && n > r->left) n = (size_t)r->left;
            body(r, at, n, now, transit);
            at += n;
            if (r->at == UNTIL_CLOSE) continue;
            r->left -= n;
            if (!r->left) r->at = r->at == COUNTED ? DONE : CHUNK_END;
        } else {
            frame(r, *at++);
        }
    }
    return (size_t)(at - bytes);
}

bool response_close(response *r) { return r->at == UNTIL_CLOSE; }
