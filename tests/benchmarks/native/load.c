/* The clients of the benchmark: one thread, epoll, loopback only; prints one JSON object.
 *
 *     load --port P --path PATH --body FILE [--header 'Name: value']…
 *          [--connections C] [--seconds S] [--warm-up S] [--ramp S] [--requests N] [--rate R]
 *          [--timeout S] [--stream] [--marks N] [--end TEXT]
 *
 * Without --rate each connection asks again as soon as it is answered (a closed loop). With it,
 * requests are due R times a second whatever the answers do (an open loop), and latency counts
 * from when a request was due: waiting for a free connection is part of it, so that a server that
 * stalls does not thereby avoid being measured (coordinated omission).
 *
 * An answer counts if its status is 200, it has --marks marks, and its end has TEXT in it;
 * anything else is a failure, and after 100 of them the run ends.
 * After S seconds nothing new is asked; what is open may take the --timeout longer.
 */
#define _GNU_SOURCE
#include "response.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_FAILURES 100
#define MOST_CONNECTIONS 4096
#define SECOND 1000000000ll

typedef struct {
    int fd; /* -1: not connected */
    bool busy, waiting, used, counts;
    size_t sent;
    int64_t begun; /* or, in an open loop, due */
    int64_t asked;
    response answer;
} client;

static struct {
    int port, connections;
    double seconds, warm_up, ramp, rate, timeout;
    long requests, marks;
    bool stream;
    const char *path, *body, *end;
    char headers[8192];
} option = {.connections = 1, .seconds = 3, .timeout = 30, .marks = 1, .path = "/", .end = ""};

static struct {
    unsigned long answers, in_window, failed, wrong, timeouts, stale, opened, chunks;
    unsigned long all_answers, all_chunks, statuses[600];
    uint64_t least_body, most_body;
    samples latency, first, transit;
    char failure[2 * TAIL];
} seen;

static int poller, idle_count, busy_count;
static client *clients;
static int *idle; /* numbers of the clients that have nothing to do, as a stack */
static char *request;
static size_t request_length;
static long begun_count;
static int64_t window_begins, window_ends, last_answer;

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static void watch(client *c, bool for_writing) {
    struct epoll_event event = {.events = EPOLLIN | (for_writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->waiting = for_writing;
}

static void hang_up(client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void fail(client *c, const char *why) {
    seen.failed++;
    if (*seen.failure) return;
    snprintf(seen.failure, sizeof seen.failure, "%s; status %d, %ld marks, the end: %s", why,
             c->answer.status, c->answer.marks, c->answer.tail_length ? c->answer.tail : "");
}

/* What an answer lacks; NULL: nothing. */
static const char *wrong(const response *r) {
    if (r->status != 200) return "another status than 200";
    if (r->marks != option.marks) return "not as many pieces of text as asked for";
    if (!memmem(r->tail, r->tail_length, option.end, strlen(option.end)))
        return "no end where it should be";
    return NULL;
}

/* The end of one exchange; `why` it failed, or NULL. */
static void finish(client *c, const char *why, int64_t now) {
    response *r = &c->answer;
    if (r->status > 0 && r->status < 600) seen.statuses[r->status]++;
    if (!why && (why = wrong(r))) seen.wrong++;
    if (why) {
        fail(c, why);
    } else {
        seen.all_answers++;
        seen.all_chunks += (unsigned long)r->marks;
        last_answer = now;
        if (now >= window_begins && now < window_ends) seen.in_window++;
        if (!seen.least_body || r->body_bytes < seen.least_body) seen.least_body = r->body_bytes;
        if (r->body_bytes > seen.most_body) seen.most_body = r->body_bytes;
        if (c->counts) {
            seen.answers++;
            seen.chunks += (unsigned long)r->marks;
            samples_add(&seen.latency, now - c->begun);
            samples_add(&seen.first, r->first_mark - c->begun);
        }
    }
    if (why || r->closes) hang_up(c);
    c->busy = false;
    busy_count--;
    idle[idle_count++] = (int)(c - clients);
}

static void send_request(client *c) {
    while (c->sent < request_length) {
        ssize_t n = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
        if (n > 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN || errno == ENOTCONN) {
            if (!c->waiting) watch(c, true);
            return;
        } else if (errno != EINTR) {
            break; /* the reading end will tell why */
        }
    }
    if (c->waiting) watch(c, false);
}

static bool dial(client *c) {
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)option.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS) {
        hang_up(c);
        return false;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    c->waiting = true;
    c->used = false;
    seen.opened++;
    return true;
}

/* Sends the request, or has it sent once connected. */
static void ask(client *c) {
    c->sent = 0;
    response_begin(&c->answer);
    if (c->fd < 0 && !dial(c)) {
        finish(c, strerror(errno), now_ns());
        return;
    }
    if (!c->waiting) send_request(c);
}

static void begin(int64_t due) {
    client *c = &clients[idle[--idle_count]];
    c->busy = true;
    busy_count++;
    begun_count++;
    c->asked = now_ns();
    c->begun = due ? due : c->asked;
    c->counts = c->begun >= window_begins && c->begun < window_ends;
    ask(c);
}

/* The other side closed, or the connection broke. */
static void closed(client *c, int64_t now) {
    bool nothing_came = c->answer.head_length == 0;
    hang_up(c);
    if (!c->busy) return;
    if (response_close(&c->answer)) {
        finish(c, NULL, now);
    } else if (c->used && nothing_came) {
        seen.stale++; /* it had been idle, and was closed as we asked: ask again */
        ask(c);
    } else {
        finish(c, "the connection was closed in the middle", now);
    }
}

static void receive(client *c) {
    static char bytes[1 << 18];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        int64_t now = now_ns();
        if (n <= 0 || !c->busy) {
            closed(c, now);
            return;
        }
        response_feed(&c->answer, bytes, (size_t)n, now, c->counts ? &seen.transit : NULL);
        if (c->answer.at >= DONE) {
            c->used = true;
            finish(c, c->answer.at == BAD ? "a head that is too long" : NULL, now);
            return;
        }
        if (n < (ssize_t)sizeof bytes) return;
    }
}

static void give_up_late_ones(int64_t now) {
    for (int i = 0; i < option.connections; i++) {
        if (!clients[i].busy || now - clients[i].asked < (int64_t)(option.timeout * SECOND)) continue;
        seen.timeouts++;
        finish(&clients[i], "no whole answer within the time", now);
    }
}

/* Begins what is due; returns how long to sleep at most, in ns. `next` is when the next is due. */
static int64_t begin_due(int64_t now, int64_t start, int64_t *next) {
    bool enough = option.requests && begun_count >= option.requests;
    if (option.rate > 0) {
        while (*next <= now && idle_count && !enough) {
            begin(*next);
            enough = option.requests && begun_count >= option.requests;
            /* From the start, so that roundings do not add up. */
            static long due_count;
            *next = start + (int64_t)((double)++due_count * SECOND / option.rate);
        }
        int64_t rest = *next - now_ns();
        return idle_count && !enough ? (rest > 0 ? rest : 0) : SECOND / 20;
    }
    int allowed = option.connections;
    if (option.ramp > 0 && now < start + (int64_t)(option.ramp * SECOND))
        allowed = (int)((double)(now - start) / (option.ramp * SECOND) * allowed) + 1;
    for (int most = idle_count; most && busy_count < allowed; most--) {
        if (option.requests && begun_count >= option.requests) break;
        begin(0);
    }
    return allowed < option.connections ? SECOND / 1000 : SECOND / 20;
}

/* Returns how many requests were due and never asked for: the target had fallen behind. */
static unsigned long run(int64_t start) {
    static struct epoll_event events[1024];
    int64_t deadline = window_ends + (int64_t)(option.timeout * SECOND), next = start, looked = start;
    for (;;) {
        int64_t now = now_ns(), sleep = SECOND / 20;
        bool over = now >= window_ends || seen.failed >= MOST_FAILURES ||
                    (option.requests && begun_count >= option.requests);
        if (now >= deadline || (over && !busy_count) || seen.failed >= MOST_FAILURES) break;
        if (!over) sleep = begin_due(now, start, &next);
        struct timespec patience = {0, (long)(sleep < SECOND / 20 ? sleep : SECOND / 20)};
        int n = epoll_pwait2(poller, events, 1024, &patience, NULL);
        for (int i = 0; i < n; i++) {
            client *c = events[i].data.ptr;
            if (c->fd >= 0 && events[i].events & EPOLLOUT && c->busy) send_request(c);
            if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
        if (now - looked > SECOND / 10) {
            looked = now;
            give_up_late_ones(now);
        }
    }
    if (option.rate <= 0 || option.requests || next >= window_ends) return 0;
    return (unsigned long)((double)(window_ends - next) / SECOND * option.rate);
}

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 32 || c > 126) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void report(unsigned long unsent, int64_t start) {
    int64_t until = last_answer && last_answer < window_ends ? last_answer : window_ends;
    double seconds = until > window_begins ? (double)(until - window_begins) / SECOND : 0;
    /* A closed loop that is not limited in number is busy to the end of its window. */
    if (!option.requests && !option.stream) seconds = option.seconds;
    double per_second = seconds > 0 ? (double)seen.in_window / seconds : 0;
    /* Too few in it to say anything: all of them, the last ones with fewer connections. */
    if (option.rate <= 0 && seen.in_window < 2ul * (unsigned long)option.connections && last_answer)
        per_second = (double)seen.all_answers / ((double)(last_answer - start) / SECOND);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    printf("{\"answers\": %lu, \"all_answers\": %lu, \"chunks\": %lu, \"all_chunks\": %lu, "
           "\"failed\": %lu, \"wrong\": %lu, \"timeouts\": %lu, \"unsent\": %lu, \"stale\": %lu, "
           "\"connections\": %lu, \"open_at_end\": %d, \"seconds\": %.4f, \"per_second\": %.2f, "
           "\"cpu_seconds\": %.4f, \"body_bytes\": [%llu, %llu]",
           seen.answers, seen.all_answers, seen.chunks, seen.all_chunks, seen.failed, seen.wrong,
           seen.timeouts, unsent, seen.stale, seen.opened, busy_count, seconds, per_second, cpu,
           (unsigned long long)seen.least_body, (unsigned long long)seen.most_body);
    samples_print("latency_ms", &seen.latency);
    samples_print("first_ms", &seen.first);
    samples_print("transit_ms", &seen.transit);
    printf(", \"statuses\": {");
    for (int i = 0, some = 0; i < 600; i++)
        if (seen.statuses[i]) printf("%s\"%d\": %lu", some++ ? ", " : "", i, seen.statuses[i]);
    printf("}, \"failure\": ");
    print_text(seen.failure);
    printf("}\n");
}

static void read_options(int count, char **words) {
    for (int i = 1; i < count; i++) {
        const char *name = words[i];
        if (!strcmp(name, "--stream")) {
            option.stream = true;
            continue;
        }
        if (i + 1 == count) break;
        const char *value = words[++i];
        double number = atof(value);
        if (!strcmp(name, "--port")) option.port = (int)number;
        else if (!strcmp(name, "--path")) option.path = value;
        else if (!strcmp(name, "--body")) option.body = value;
        else if (!strcmp(name, "--end")) option.end = value;
        else if (!strcmp(name, "--connections")) option.connections = (int)number;
        else if (!strcmp(name, "--seconds")) option.seconds = number;
        else if (!strcmp(name, "--warm-up")) option.warm_up = number;
        else if (!strcmp(name, "--ramp")) option.ramp = number;
        else if (!strcmp(name, "--rate")) option.rate = number;
        else if (!strcmp(name, "--timeout")) option.timeout = number;
        else if (!strcmp(name, "--requests")) option.requests = (long)number;
        else if (!strcmp(name, "--marks")) option.marks = (long)number;
        else if (!strcmp(name, "--header")) {
            size_t used = strlen(option.headers);
            snprintf(option.headers + used, sizeof option.headers - used, "%s\r\n", value);
        } else {
            fprintf(stderr, "load: there is no option %s\n", name);
            exit(2);
        }
    }
    if (option.connections < 1 || option.connections > MOST_CONNECTIONS || option.seconds > 3600) {
        fprintf(stderr, "load: 1 to %d connections, at most 3600 seconds\n", MOST_CONNECTIONS);
        exit(2);
    }
}

static void build_request(void) {
    static char body[1 << 22], head[16384];
    FILE *file = option.body ? fopen(option.body, "rb") : NULL;
    if (!file) {
        perror(option.body ? option.body : "load: --body FILE is missing");
        exit(2);
    }
    size_t length = fread(body, 1, sizeof body, file);
    fclose(file);
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                     "Accept: */*\r\n%sContent-Length: %zu\r\n\r\n",
                     option.path, option.port, option.headers, length);
    request_length = (size_t)n + length;
    request = malloc(request_length);
    if (!request) abort();
    memcpy(request, head, (size_t)n);
    memcpy(request + n, body, length);
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    read_options(count, words);
    build_request();
    poller = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc((size_t)option.connections, sizeof *clients);
    idle = calloc((size_t)option.connections, sizeof *idle);
    if (!clients || !idle) abort();
    for (int i = option.connections; i--;) {
        clients[i].fd = -1;
        idle[idle_count++] = i;
    }
    int64_t start = now_ns();
    window_begins = start + (int64_t)(option.warm_up * SECOND);
    window_ends = window_begins + (int64_t)(option.seconds * SECOND);
    report(run(start), start);
    return 0;
}
