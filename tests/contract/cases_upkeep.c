/* cases_upkeep.c - upkeep goes on in the background, changes nothing that can be read, and can be steered; what is not declared is refused. */
#include "tests/contract/support.h"

#include "pools/base/clock.h"

#include <sched.h>

#define ENTRIES 200u
#define PATIENCE_NS (60 * NS_PER_S)

static bool has(enum upkeep_kind kind) {
    const struct pool_capabilities *can = &the_pool()->capabilities;
    return kind == UPKEEP_COMPACT ? can->compacts : can->scrubs;
}

static enum err ask(enum upkeep_kind kind, enum upkeep_action action) {
    return pool_upkeep(the_pool(), fresh_op(), kind, action);
}

/* The ids are dropped: no case here damages anything. */
static struct upkeep_status look(enum upkeep_kind kind) {
    struct upkeep_status status;
    ck_assert_err(pool_get_upkeep(the_pool(), fresh_op(), kind, &status), OK);
    upkeep_status_fini(&status);
    return status;
}

static struct upkeep_status await(enum upkeep_kind kind, enum upkeep_state state) {
    uint64_t until_ns = clock_now_ns() + PATIENCE_NS;
    struct upkeep_status status = look(kind);
    while (status.state != state) {
        ck_assert_msg(clock_now_ns() < until_ns, "it is %s, not %s: %s", upkeep_state_word(status.state),
                      upkeep_state_word(state), status.fault.detail);
        sched_yield();
        status = look(kind);
    }
    return status;
}

static void put_entries(uint64_t *ret_bytes) {
    *ret_bytes = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        char id[32];
        snprintf(id, sizeof id, "entry-%u", i);
        struct body body = body_make(i * 7, i);
        put(id, &body);
        *ret_bytes += body.count;
        body_free(&body);
    }
}

static void assert_entries(void) {
    for (unsigned i = 0; i < ENTRIES; i++) {
        char id[32];
        snprintf(id, sizeof id, "entry-%u", i);
        struct body body = body_make(i * 7, i);
        assert_holds(id, &body);
        body_free(&body);
    }
}

START_TEST(what_is_not_declared_is_refused) {
    enum upkeep_kind kind = (enum upkeep_kind)_i;
    if (has(kind)) {
        return;
    }
    struct upkeep_status status;
    ck_assert_err(ask(kind, UPKEEP_START), ERR_UNSUPPORTED);
    ck_assert_err(ask(kind, UPKEEP_CANCEL), ERR_UNSUPPORTED);
    struct op *op = fresh_op();
    ck_assert_err(pool_get_upkeep(the_pool(), op, kind, &status), ERR_UNSUPPORTED);
    ck_assert_int_eq(op->fault.reason, REASON_UNSUPPORTED);
}
END_TEST

START_TEST(it_does_all_and_harms_nothing) {
    enum upkeep_kind kind = (enum upkeep_kind)_i;
    if (!has(kind)) {
        return;
    }
    struct upkeep_status before = look(kind);
    ck_assert_int_eq(before.state, UPKEEP_NOT_STARTED);
    ck_assert_int_eq(before.started_ms, 0);
    uint64_t bytes = 0;
    put_entries(&bytes);
    fill_text("copy", "of another tier");
    ck_assert_err(ask(kind, UPKEEP_START), OK);
    struct upkeep_status status = await(kind, UPKEEP_FINISHED);
    ck_assert_uint_eq(status.entries_total, ENTRIES + 1);
    ck_assert_uint_eq(status.entries_done, ENTRIES + 1);
    ck_assert_uint_eq(status.bytes_done, status.bytes_total);
    ck_assert_uint_eq(status.bytes_total, bytes + strlen("of another tier"));
    ck_assert_int_gt(status.started_ms, 0);
    ck_assert_int_ge(status.ended_ms, status.started_ms);
    ck_assert_uint_eq(status.corrupt + status.dropped + status.learned + status.unreadable, 0);
    assert_entries();
    assert_holds_text("copy", "of another tier");
    assert_hold("copy", HOLD_CACHED);
    ck_assert_err(ask(kind, UPKEEP_START), OK); /* again, from the beginning */
    status = await(kind, UPKEEP_FINISHED);
    ck_assert_uint_eq(status.entries_done, ENTRIES + 1);
    assert_entries();
    if (subject_survives_close()) {
        reopen_with(NULL, 0);
        assert_entries();
        ck_assert_int_eq(look(kind).state, UPKEEP_NOT_STARTED);
    }
}
END_TEST

START_TEST(nothing_to_steer) {
    enum upkeep_kind kind = (enum upkeep_kind)_i;
    if (!has(kind)) {
        return;
    }
    const enum upkeep_action actions[] = {UPKEEP_PAUSE, UPKEEP_RESUME, UPKEEP_CANCEL};
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        struct op *op = fresh_op();
        ck_assert_err(pool_upkeep(the_pool(), op, kind, actions[i]), ERR_CONFLICT);
        ck_assert_int_eq(op->fault.reason, REASON_NOT_RUNNING);
    }
    ck_assert_int_eq(look(kind).state, UPKEEP_NOT_STARTED);
}
END_TEST

/* Whether it is caught while it runs is up to the threads; what is so afterwards is not. */
START_TEST(paused_resumed_cancelled) {
    enum upkeep_kind kind = (enum upkeep_kind)_i;
    if (!has(kind)) {
        return;
    }
    uint64_t bytes = 0;
    put_entries(&bytes);
    unsigned caught = 0;
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_err(ask(kind, UPKEEP_START), OK);
        if (ask(kind, UPKEEP_PAUSE) != OK) {
            (void)await(kind, UPKEEP_FINISHED); /* it was too fast */
            continue;
        }
        caught++;
        ck_assert_int_eq(look(kind).state, UPKEEP_PAUSED);
        ck_assert_err(ask(kind, UPKEEP_START), OK); /* changes nothing */
        ck_assert_int_eq(look(kind).state, UPKEEP_PAUSED);
        put_text("meanwhile", "written while it is paused");
        if (i % 2) {
            ck_assert_err(ask(kind, UPKEEP_CANCEL), OK);
            ck_assert_int_eq(look(kind).state, UPKEEP_CANCELLED);
            ck_assert_err(ask(kind, UPKEEP_CANCEL), OK);
            ck_assert_err(ask(kind, UPKEEP_RESUME), ERR_CONFLICT);
            ck_assert_int_eq(look(kind).state, UPKEEP_CANCELLED);
        } else {
            ck_assert_err(ask(kind, UPKEEP_RESUME), OK);
            (void)await(kind, UPKEEP_FINISHED);
        }
        assert_holds_text("meanwhile", "written while it is paused");
    }
    ck_assert_uint_gt(caught, 0);
    assert_entries();
}
END_TEST

START_TEST(closed_while_it_runs) {
    enum upkeep_kind kind = (enum upkeep_kind)_i;
    if (!has(kind) || !subject_survives_close()) {
        return;
    }
    uint64_t bytes = 0;
    put_entries(&bytes);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_err(ask(kind, UPKEEP_START), OK);
        reopen_with(NULL, 0);
        assert_entries();
    }
}
END_TEST

TCase *cases_upkeep(void) {
    TCase *tcase = tcase_create("upkeep");
    tcase_add_loop_test(tcase, what_is_not_declared_is_refused, 0, UPKEEP_KINDS);
    tcase_add_loop_test(tcase, it_does_all_and_harms_nothing, 0, UPKEEP_KINDS);
    tcase_add_loop_test(tcase, nothing_to_steer, 0, UPKEEP_KINDS);
    tcase_add_loop_test(tcase, paused_resumed_cancelled, 0, UPKEEP_KINDS);
    tcase_add_loop_test(tcase, closed_while_it_runs, 0, UPKEEP_KINDS);
    return tcase;
}
