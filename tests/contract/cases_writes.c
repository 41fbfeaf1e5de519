/* cases_writes.c - a write is all or nothing: aborts, wrong lengths and digests, preconditions, removal. */
#include "tests/contract/support.h"

static struct pool_writer *open_writer(const char *id_text, const struct write_options *options) {
    struct id id = id_of(id_text);
    struct pool_writer *writer = NULL;
    struct op *op = fresh_op();
    enum err err = pool_open_writer(the_pool(), op, &id, options, &writer);
    ck_assert_msg(err == OK, "%s", op->fault.detail);
    return writer;
}

static void write_text(struct pool_writer *writer, const char *text) {
    ck_assert_err(pool_writer_write(writer, fresh_op(), text, strlen(text)), OK);
}

/* Nothing was there before and nothing is there now. */
static void assert_no_trace(const char *id) {
    assert_absent(id);
    struct names names = list("", 100);
    ck_assert_uint_eq(names.count, 0);
    names_free(&names);
    struct pool_status status;
    pool_get_status(the_pool(), &status);
    if (status.counts_known) {
        ck_assert_uint_eq(status.entries, 0);
        ck_assert_uint_eq(status.bytes, 0);
    }
}

START_TEST(nothing_is_visible_before_commit) {
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    struct pool_writer *writer = open_writer("soon", &options);
    assert_no_trace("soon");
    write_text(writer, "the body");
    assert_no_trace("soon");
    struct commit_result result;
    ck_assert_err(pool_writer_commit(writer, fresh_op(), &result), OK);
    ck_assert_uint_eq(result.meta.size_bytes, 8);
    meta_fini(&result.meta);
    assert_holds_text("soon", "the body");
    pool_writer_close(writer);
    assert_holds_text("soon", "the body");
}
END_TEST

START_TEST(an_abort_leaves_no_trace) {
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    if (_i % 2) {
        options.meta.size_bytes = 3 * 1024 * 1024;
    }
    struct body body = body_make(1024 * 1024, 1);
    struct pool_writer *writer = open_writer("never", &options);
    for (int i = 0; i < _i; i++) {
        ck_assert_err(pool_writer_write(writer, fresh_op(), body.bytes, body.count), OK);
    }
    pool_writer_close(writer);
    body_free(&body);
    assert_no_trace("never");
}
END_TEST

START_TEST(an_abort_leaves_the_old_entry) {
    put_text("old", "old body");
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    struct pool_writer *writer = open_writer("old", &options);
    write_text(writer, "new body");
    assert_holds_text("old", "old body");
    pool_writer_close(writer);
    assert_holds_text("old", "old body");
}
END_TEST

START_TEST(a_wrong_length_is_refused) {
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    options.meta.size_bytes = 10;
    struct pool_writer *writer = open_writer("short", &options);
    write_text(writer, "123456789");
    struct commit_result result;
    struct op *op = fresh_op();
    ck_assert_err(pool_writer_commit(writer, op, &result), ERR_INVALID);
    ck_assert_int_eq(op->fault.reason, REASON_BODY_INCOMPLETE);
    pool_writer_close(writer);
    assert_no_trace("short");

    writer = open_writer("long", &options);
    write_text(writer, "1234567890");
    ck_assert_err(pool_writer_write(writer, fresh_op(), "x", 1), ERR_INVALID);
    pool_writer_close(writer);
    assert_no_trace("long");
}
END_TEST

START_TEST(a_wrong_digest_is_refused) {
    put_text("kept", "old body");
    struct meta meta;
    meta_init(&meta);
    meta.has_sha256 = true;
    digest_sha256("new body", 8, meta.sha256);
    struct body body = body_text("new bodi");
    struct op *op = fresh_op();
    ck_assert_err(try_put(op, "kept", &body, &(struct how){.meta = &meta}), ERR_INVALID);
    ck_assert_int_eq(op->fault.reason, REASON_DIGEST_MISMATCH);
    assert_holds_text("kept", "old body");
    body.bytes[7] = 'y';
    put_how("kept", &body, &(struct how){.meta = &meta});
    assert_holds_text("kept", "new body");
    body_free(&body);
}
END_TEST

START_TEST(created_is_told) {
    if (!the_pool()->capabilities.tells_created) {
        return;
    }
    struct body body = body_text("x");
    bool created = false;
    struct how how = {.ret_created = &created, .as_entry = _i == 1};
    put_how("new", &body, &how);
    ck_assert(created);
    put_how("new", &body, &how);
    ck_assert(!created);
    ck_assert(remove_id("new"));
    ck_assert(!remove_id("new"));
    put_how("new", &body, &how);
    ck_assert(created);
    body_free(&body);
}
END_TEST

START_TEST(removing_what_is_not_there_succeeds) {
    remove_id("nothing");
    put_text("here", "x");
    remove_id("here");
    assert_no_trace("here");
    remove_id("here");
    put_text("here", "y");
    assert_holds_text("here", "y");
}
END_TEST

/* ---- preconditions ---- */

static struct condition tag_condition(enum condition_kind kind, const char *etag) {
    struct condition condition = {.kind = kind, .count = 1};
    snprintf(condition.tag[0], sizeof condition.tag[0], "%s", etag);
    return condition;
}

static struct condition current_tag(enum condition_kind kind, const char *id) {
    struct meta meta = stat_of(id);
    char etag[ETAG_BYTES];
    meta_etag(&meta, etag);
    meta_fini(&meta);
    return tag_condition(kind, etag);
}

/* What a kind declares for its protocol, the server at the other end may still not implement; then every precondition is refused
 * with its own reason and nothing is written (design.md 13.18). */
static bool server_refuses_conditions(void) {
    if (!the_pool()->capabilities.remote) {
        return false;
    }
    const struct condition absent = {.kind = CONDITION_ABSENT};
    struct body body = body_text("x");
    struct op *op = fresh_op();
    enum err err = try_put(op, "probe", &body, &(struct how){.condition = &absent});
    body_free(&body);
    if (err == ERR_UNSUPPORTED) {
        ck_assert_int_eq(op->fault.reason, REASON_CONDITIONAL_WRITE_UNSUPPORTED);
        assert_absent("probe");
    }
    remove_id("probe");
    return err == ERR_UNSUPPORTED;
}

static bool can_judge(enum condition_kind kind) {
    const struct pool_capabilities *can = &the_pool()->capabilities;
    return (kind == CONDITION_ABSENT ? can->create_only : can->if_match) && !server_refuses_conditions();
}

/* A server that judges no writes leaves us to refuse: as unsupported, or rightly where nothing needs to be written. */
static bool is_right(enum err err, const struct condition *condition, enum err expected) {
    return can_judge(condition->kind)
               ? err == expected
               : err == ERR_UNSUPPORTED || (the_pool()->capabilities.remote && err == expected);
}

static void assert_state(const char *id, const char *text) {
    if (text) {
        assert_holds_text(id, text);
    } else {
        assert_absent(id);
    }
}

/* Puts and removes `id` under the condition: each gives `expected` where the kind can judge; a failure leaves `old` (NULL =
 * absent). */
static void assert_condition(const char *id, const struct condition *condition, enum err expected,
                             const char *old) {
    struct body body = body_text("by the condition");
    for (int as_entry = 0; as_entry < 2; as_entry++) {
        const struct how how = {.condition = condition, .as_entry = as_entry};
        enum err err = try_put(fresh_op(), id, &body, &how);
        ck_assert_msg(is_right(err, condition, expected), "put: %s", err_word(err));
        assert_state(id, err == OK ? "by the condition" : old);
        if (old) {
            put_text(id, old);
        } else {
            remove_id(id);
        }
    }
    body_free(&body);
    bool existed = false;
    struct id removed = id_of(id);
    enum err err = pool_remove(the_pool(), fresh_op(), &removed, condition, &existed);
    ck_assert_msg(is_right(err, condition, expected), "remove: %s", err_word(err));
    assert_state(id, err == OK ? NULL : old);
    remove_id(id);
}

START_TEST(conditions_on_an_absent_entry) {
    const struct condition absent = {.kind = CONDITION_ABSENT};
    const struct condition present = {.kind = CONDITION_PRESENT};
    const struct condition match = tag_condition(CONDITION_MATCH, "\"0123\"");
    const struct condition none_match = tag_condition(CONDITION_NONE_MATCH, "\"0123\"");
    assert_condition("no", &absent, OK, NULL);
    assert_condition("no", &present, ERR_PRECONDITION, NULL);
    assert_condition("no", &match, ERR_PRECONDITION, NULL);
    assert_condition("no", &none_match, OK, NULL);
}
END_TEST

START_TEST(conditions_on_a_present_entry) {
    const struct condition absent = {.kind = CONDITION_ABSENT};
    const struct condition present = {.kind = CONDITION_PRESENT};
    const struct condition other_match = tag_condition(CONDITION_MATCH, "\"0123\"");
    const struct condition other_none_match = tag_condition(CONDITION_NONE_MATCH, "\"0123\"");
    put_text("yes", "old");
    assert_condition("yes", &absent, ERR_PRECONDITION, "old");
    put_text("yes", "old");
    assert_condition("yes", &present, OK, "old");
    put_text("yes", "old");
    assert_condition("yes", &other_match, ERR_PRECONDITION, "old");
    put_text("yes", "old");
    assert_condition("yes", &other_none_match, OK, "old");
    put_text("yes", "old");
    const struct condition none_match = current_tag(CONDITION_NONE_MATCH, "yes");
    assert_condition("yes", &none_match, ERR_PRECONDITION, "old");
}
END_TEST

START_TEST(match_follows_the_entry) {
    if (!can_judge(CONDITION_MATCH)) {
        return;
    }
    put_text("tag", "one");
    struct condition one = current_tag(CONDITION_MATCH, "tag");
    struct body two = body_text("two");
    put_how("tag", &two, &(struct how){.condition = &one});
    assert_holds("tag", &two);
    assert_put_fails("tag", &two, &(struct how){.condition = &one},
                     ERR_PRECONDITION); /* the tag has moved on */
    struct condition either = current_tag(CONDITION_MATCH, "tag");
    memcpy(either.tag[1], either.tag[0], sizeof either.tag[0]);
    memcpy(either.tag[0], one.tag[0], sizeof one.tag[0]);
    either.count = 2;
    bool existed = false;
    struct id id = id_of("tag");
    ck_assert_err(pool_remove(the_pool(), fresh_op(), &id, &either, &existed), OK);
    assert_absent("tag");
    struct op *op = fresh_op();
    ck_assert_err(try_put(op, "tag", &two, &(struct how){.condition = &one}), ERR_PRECONDITION);
    ck_assert_int_eq(op->fault.reason, REASON_NOT_LOCAL);
    body_free(&two);
}
END_TEST

START_TEST(the_fault_names_the_pool) {
    struct op *op = fresh_op();
    struct got got = get(op, "nothing");
    ck_assert_err(got.err, ERR_NOT_FOUND);
    ck_assert_str_eq(op->fault.pool, the_pool()->nickname);
}
END_TEST

TCase *cases_writes(void) {
    TCase *tcase = tcase_create("writes");
    tcase_add_test(tcase, nothing_is_visible_before_commit);
    tcase_add_loop_test(tcase, an_abort_leaves_no_trace, 0, 4);
    tcase_add_test(tcase, an_abort_leaves_the_old_entry);
    tcase_add_test(tcase, a_wrong_length_is_refused);
    tcase_add_test(tcase, a_wrong_digest_is_refused);
    tcase_add_loop_test(tcase, created_is_told, 0, 2);
    tcase_add_test(tcase, removing_what_is_not_there_succeeds);
    tcase_add_test(tcase, conditions_on_an_absent_entry);
    tcase_add_test(tcase, conditions_on_a_present_entry);
    tcase_add_test(tcase, match_follows_the_entry);
    tcase_add_test(tcase, the_fault_names_the_pool);
    return tcase;
}
