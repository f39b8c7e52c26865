/* Durations, counted by size: memory does not grow with their number, an error is below 0.4 %. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdint.h>
#include <stdio.h>

#define UNIT_NS 100 /* what is counted in */
#define FINE 256    /* slots for each doubling */
#define SLOTS (FINE * 40)

typedef struct {
    uint64_t slots[SLOTS], count, least, most;
    double sum;
} samples;

static inline void samples_add(samples *to, int64_t ns) {
    uint64_t value = ns > 0 ? (uint64_t)ns / UNIT_NS : 0;
    unsigned slot = (unsigned)value;
    if (value >= 2 * FINE) {
        int shift = 63 - __builtin_clzll(value) - 8;
        slot = (unsigned)shift * FINE + (unsigned)(value >> shift);
        if (slot >= SLOTS) slot = SLOTS - 1;
    }
    to->slots[slot]++;
    if (!to->count || value < to->least) to->least = value;
    if (value > to->most) to->most = value;
    to->count++;
    to->sum += (double)value;
}

static inline double samples_ms(double units) { return units * UNIT_NS / 1e6; }

/* The duration, in milliseconds, below which a share of all lies. */
static inline double samples_at(const samples *of, double share) {
    uint64_t rank = (uint64_t)((double)(of->count - 1) * share), passed = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        passed += of->slots[slot];
        if (passed <= rank) continue;
        if (slot < 2 * FINE) return samples_ms(slot);
        unsigned shift = slot / FINE - 1;
        uint64_t low = (uint64_t)(slot - shift * FINE) << shift;
        return samples_ms((double)low + (double)(1ull << shift) / 2);
    }
    return samples_ms((double)of->most);
}

static inline void samples_print(const char *name, const samples *of) {
    if (!of->count) {
        printf(", \"%s\": null", name);
        return;
    }
    printf(", \"%s\": {\"count\": %llu, \"mean\": %.4f, \"least\": %.4f, \"p50\": %.4f, "
           "\"p95\": %.4f, \"p99\": %.4f, \"most\": %.4f}",
           name, (unsigned long long)of->count, samples_ms(of->sum / (double)of->count),
           samples_ms((double)of->least), samples_at(of, 0.5), samples_at(of, 0.95),
           samples_at(of, 0.99), samples_ms((double)of->most));
}

#endif
