/* What the upstream says: reads the sections once, fills in their places for each answer. */
#define _GNU_SOURCE
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FILE 65536
#define INPUT_TOKENS 25 /* what every answer claims; the files say it too */

static const char *const NAMES[SECTIONS] = {"whole", "first", "chunk", "last",
                                            "usage", "end",   "error"};
static const char *const PLACES[] = {"TEXT", "MARK", "COUNT", "TOTAL", "CR"};
/* COUNT and CR begin alike: a place is told by this letter. */
static const char LETTERS[] = {'T', 'M', 'N', 'S', 'R'};

void buffer_add(buffer *to, const void *bytes, size_t length) {
    if (to->length + length > to->room) {
        to->room = (to->length + length) * 2;
        to->bytes = realloc(to->bytes, to->room);
        if (!to->bytes) abort();
    }
    memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
}

static void add_piece(template *to, char place, char *bytes, size_t length) {
    if (!place && !length) return;
    to->pieces = realloc(to->pieces, sizeof(piece) * (size_t)(to->count + 1));
    if (!to->pieces) abort();
    to->pieces[to->count++] = (piece){place, bytes, length};
}

/* Cuts a section's text into pieces. They point into the text, which is never freed. */
static void compile(template *to, char *text, char *end) {
    char *from = text;
    for (char *at = text; at < end; at++) {
        if (*at != '$') continue;
        for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
            size_t length = strlen(PLACES[i]);
            if ((size_t)(end - at) <= length || memcmp(at + 1, PLACES[i], length)) continue;
            add_piece(to, 0, from, (size_t)(at - from));
            add_piece(to, LETTERS[i], NULL, 0);
            from = at + 1 + length;
            at = from - 1;
            break;
        }
    }
    add_piece(to, 0, from, (size_t)(end - from));
}

char *file_read(const char *folder, const char *name, size_t *length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.txt", folder, name);
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, MOST_FILE + 1);
    if (!text) abort();
    *length = file ? fread(text, 1, MOST_FILE, file) : 0;
    if (!*length) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return text;
}

void dialect_load(dialect *to, const char *folder, const char *name) {
    size_t length;
    char *text = file_read(folder, name, &length);
    char *header = strstr(text, "\n=== ");
    while (header) {
        char *title = header + 5, *body = strchr(title, '\n') + 1;
        /* From the line break before this body: an empty section ends at the next header. */
        char *next = strstr(body - 1, "\n=== ");
        for (int i = 0; i < SECTIONS; i++) {
            size_t n = strlen(NAMES[i]);
            if (!strncmp(title, NAMES[i], n) && title[n] == '\n')
                compile(&to->sections[i], body, next ? next + 1 : text + length);
        }
        header = next;
    }
    if (!to->sections[WHOLE].count || !to->sections[CHUNK].count) {
        fprintf(stderr, "%s.txt has no section `whole` or `chunk`\n", name);
        exit(2);
    }
}

static void write_place(buffer *to, char place, const filling *with) {
    char digits[32];
    int length = 0;
    switch (place) {
    case 'T':
        buffer_add(to, with->text, with->text_length);
        return;
    case 'M':
        if (!with->marked) return;
        length = snprintf(digits, sizeof digits, "@T%018llu@", (unsigned long long)now_ns());
        break;
    case 'N':
        length = snprintf(digits, sizeof digits, "%ld", with->count);
        break;
    case 'S':
        length = snprintf(digits, sizeof digits, "%ld", with->count + INPUT_TOKENS);
        break;
    default:
        digits[length++] = '\r';
    }
    buffer_add(to, digits, (size_t)length);
}

void section_write(buffer *to, const dialect *of, enum section which, const filling *with) {
    const template *section = &of->sections[which];
    for (int i = 0; i < section->count; i++) {
        const piece *p = &section->pieces[i];
        if (p->place)
            write_place(to, p->place, with);
        else
            buffer_add(to, p->bytes, p->length);
    }
}
