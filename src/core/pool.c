/* See pool.h. A helper belongs to one call at a time; its state says who may touch the rest of it. */
#include "pool.h"

#ifdef DC_POOL
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "cpu.h"

/* IDLE: anybody's. TAKEN: of the call that took it. POSTED: has work, which the call may take back.
 * RUNNING: the helper's own, until it is TAKEN again. */
enum state { IDLE, TAKEN, POSTED, RUNNING };

typedef struct helper {
    _Alignas(64) _Atomic int state;
    _Atomic bool sleeps;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct helper *following; /* of the same call */
    dc_work *work;
    void *context;
    int thread, team;
} helper;

enum {
    MOST_HELPERS = 1023,
    WATCH_NS = 500 * 1000, /* a helper watches for work that long before it sleeps */
    PATIENCE = 2000, /* looks at a helper that is still busy, before others get the processor */
};

static helper helpers[MOST_HELPERS];
static _Atomic int helper_count; /* grows under the lock */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- The helper's side ---- */

static bool posted(const helper *h)
{
    return atomic_load_explicit(&h->state, memory_order_acquire) == POSTED;
}

static bool watch(const helper *h)
{
    enum { LOOKS = 64 };
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (posted(h))
                return true;
            dc_cpu_relax();
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((int64_t)(now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec <
             WATCH_NS);
    return false;
}

/* `sleeps` is set before the state is looked at, and the caller sets the state before it looks at
 * `sleeps`: one of the two sees the other's. */
static void sleep_until_posted(helper *h)
{
    pthread_mutex_lock(&h->lock);
    atomic_store(&h->sleeps, true);
    while (atomic_load(&h->state) != POSTED)
        pthread_cond_wait(&h->wake, &h->lock);
    atomic_store(&h->sleeps, false);
    pthread_mutex_unlock(&h->lock);
}

static void *help(void *context)
{
    helper *h = context;
    for (;;) {
        if (!watch(h))
            sleep_until_posted(h);
        int expected = POSTED; /* unless it has been taken back */
        if (atomic_compare_exchange_strong(&h->state, &expected, RUNNING)) {
            h->work(h->context, h->thread, h->team);
            atomic_store_explicit(&h->state, TAKEN, memory_order_release);
        }
    }
    return NULL;
}

/* ---- The caller's side ---- */

static bool take(helper *h)
{
    int expected = IDLE;
    return atomic_load_explicit(&h->state, memory_order_relaxed) == IDLE &&
           atomic_compare_exchange_strong(&h->state, &expected, TAKEN);
}

static bool start(helper *h)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const bool started = pthread_create(&thread, &attributes, help, h) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

/* A new helper, taken; NULL if there are `most` already, or the system gives no more. */
static helper *add_helper(int most)
{
    helper *h = NULL;
    pthread_mutex_lock(&pool_lock);
    const int count = atomic_load(&helper_count);
    if (count < most && count < MOST_HELPERS) {
        h = &helpers[count];
        atomic_init(&h->state, TAKEN);
        atomic_init(&h->sleeps, false);
        pthread_mutex_init(&h->lock, NULL);
        pthread_cond_init(&h->wake, NULL);
        if (start(h))
            atomic_store(&helper_count, count + 1);
        else
            h = NULL;
    }
    pthread_mutex_unlock(&pool_lock);
    return h;
}

static void post(helper *h)
{
    atomic_store(&h->state, POSTED);
    if (atomic_load(&h->sleeps)) {
        pthread_mutex_lock(&h->lock);
        pthread_cond_signal(&h->wake);
        pthread_mutex_unlock(&h->lock);
    }
}

/* Does what the helper has not begun, or waits for its end. */
static void finish(helper *h)
{
    int expected = POSTED;
    if (atomic_compare_exchange_strong(&h->state, &expected, TAKEN))
        h->work(h->context, h->thread, h->team);
    else
        for (int looks = 0; atomic_load_explicit(&h->state, memory_order_acquire) == RUNNING;
             looks++)
            if (looks < PATIENCE)
                dc_cpu_relax();
            else
                sched_yield(); /* the helper may be waiting for this very processor */
    atomic_store_explicit(&h->state, IDLE, memory_order_release);
}

void dc_pool_run(int team, int processors, dc_work *work, void *context)
{
    const int most = (team > processors ? team : processors) - 1;
    helper *mine = NULL;
    int thread = 1;
    for (int i = 0; thread < team; i++) {
        helper *h = NULL;
        if (i >= atomic_load(&helper_count))
            h = add_helper(most);
        else if (take(&helpers[i]))
            h = &helpers[i];
        else
            continue;
        if (!h)
            break;
        h->work = work;
        h->context = context;
        h->thread = thread++;
        h->team = team;
        h->following = mine;
        mine = h;
        post(h);
    }
    work(context, 0, team);
    while (thread < team)
        work(context, thread++, team);
    while (mine) {
        helper *following =
            mine->following; /* of another call as soon as this one is through */
        finish(mine);
        mine = following;
    }
}

/* ---- Forks ---- */

static bool in_forked_child;

bool dc_pool_after_fork(void) { return in_forked_child; }

/* The helpers exist in the parent only; a child begins without any. */
static void forget_helpers(void)
{
    in_forked_child = true;
    atomic_store(&helper_count, 0);
    pthread_mutex_init(&pool_lock, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_helpers);
}
#endif
