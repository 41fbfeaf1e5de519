/* torture_upkeep.c - the worker compacts and scrubs the pool while its other threads go on: it starts such a work, holds it, lets it go on, ends it.
 *
 * Any actor steers whatever is under way, also what another one started; how far it is then is told by torture_phases.c.
 */
#include "tests/crash/torture.h"

#include "pools/base/clock.h"

#define PATIENCE_NS (30 * NS_PER_S)

/* Mostly started, and sooner let go on than held, so that most of them come to their end. */
static const struct wish {
    unsigned weight;
    enum upkeep_action action;
    const char *word;
} wishes[] = {
    {65, UPKEEP_START, "start"},
    {7, UPKEEP_PAUSE, "pause"},
    {22, UPKEEP_RESUME, "resume"},
    {6, UPKEEP_CANCEL, "cancel"},
};

static const struct wish *choose_wish(struct actor *actor) {
    uint64_t drawn = random_below(&actor->random, 100);
    const struct wish *wish = wishes;
    while (drawn >= wish->weight) {
        drawn -= wish->weight;
        wish++;
    }
    return wish;
}

/* Nothing here damages the file, so a scrub that finds something, or a compaction that fails, tells of a mistake. */
static void look(struct actor *actor, enum upkeep_kind kind) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    AUTO(upkeep_status_fini) struct upkeep_status status = {0};
    enum err err = pool_get_upkeep(actor->pool, &op, kind, &status);
    if (err) {
        wrong("the status of a %s: %s: %s", upkeep_kind_word(kind), err_word(err), op.fault.detail);
    }
    if (status.state == UPKEEP_ERROR) {
        wrong("a %s failed: %s", upkeep_kind_word(kind), status.fault.detail);
    }
    if (status.corrupt || status.dropped || status.unreadable) {
        wrong("a scrub found %llu corrupt, dropped %llu, could not read %llu",
              (unsigned long long)status.corrupt, (unsigned long long)status.dropped,
              (unsigned long long)status.unreadable);
    }
}

static void steer(struct actor *actor, enum upkeep_kind kind) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    look(actor, kind);
    const struct wish *wish = choose_wish(actor);
    enum err err = pool_upkeep(actor->pool, &op, kind, wish->action);
    bool nothing_runs = err == ERR_CONFLICT && wish->action != UPKEEP_START;
    if (err && !nothing_runs) {
        wrong("to %s a %s: %s: %s", wish->word, upkeep_kind_word(kind), err_word(err), op.fault.detail);
    }
    say("U\t%u\t%s\t%s\t%s\n", actor->number, upkeep_kind_word(kind), wish->word, err ? err_word(err) : "ok");
}

void act_compact(struct actor *actor, struct key *key) {
    (void)key;
    steer(actor, UPKEEP_COMPACT);
}

void act_scrub(struct actor *actor, struct key *key) {
    (void)key;
    steer(actor, UPKEEP_SCRUB);
}
