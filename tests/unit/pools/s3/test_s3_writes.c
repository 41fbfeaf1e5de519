/* test_s3_writes.c - puts: fields and bodies, preconditions, fills; deletes under a precondition. */
#include "s3_suites.h"

#include "s3_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

START_TEST(a_put_says_everything) {
    const struct fake_answer answers[] = {{.text = PUT_OK}};
    struct scene scene = begin(answers, 1);
    const struct put_how how = {.content_type = "application/json", .hold = HOLD_CACHED, .as_entry = _i == 1};
    ck_assert_int_eq(put(scene.pool, "a:b", "hello", 5, &how), OK);
    ck_assert(head_starts(&scene, 0, "PUT /bucket/a%253Ab HTTP/1.1"));
    const char *const sha = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    ck_assert_str_eq(field(&scene, 0, "Content-Length"), "5");
    ck_assert_str_eq(field(&scene, 0, "Content-Type"), "application/json");
    ck_assert_str_eq(field(&scene, 0, "x-amz-content-sha256"), sha);
    ck_assert_str_eq(field(&scene, 0, "x-amz-meta-lailad-sha256"), sha);
    ck_assert_str_eq(field(&scene, 0, "x-amz-meta-lailad-hold"), "cached");
    ck_assert_ptr_null(field(&scene, 0, "Transfer-Encoding"));
    ck_assert_str_eq(fake_store_body(scene.store, 0), "hello");
    end(&scene);
}
END_TEST

START_TEST(a_body_is_sent_again_whole) {
    /* Refused before, during and after; larger than memory keeps, so the spool's file is replayed. */
    enum { BYTES = 3 << 20 };
    char *body = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        body[i] = (char)('a' + i % 23);
    }
    const struct fake_answer answers[] = {
        {.text = ERROR_BODY("503 Slow", "36", "SlowDown")}, {.after = FAKE_RESET}, {.text = PUT_OK}};
    struct scene scene = begin(answers, 3);
    ck_assert_int_eq(put(scene.pool, "x", body, BYTES, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(field(&scene, i, "Content-Length"), "3145728");
        const char *got = fake_store_body(scene.store, i);
        ck_assert_mem_eq(got, body, strlen(got));
        ck_assert_uint_eq(strlen(got), 65535);
    }
    end(&scene);
    free(body);
}
END_TEST

START_TEST(a_writer_closed_early_sends_nothing) {
    struct scene scene = begin(NULL, 0);
    struct id id = id_of("x");
    struct write_options options = {.condition = NULL};
    meta_init(&options.meta);
    struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(scene.pool, fresh_op(), &id, &options, &writer), OK);
    ck_assert_int_eq(pool_writer_write(writer, fresh_op(), "abc", 3), OK);
    pool_writer_close(writer);
    end(&scene);
}
END_TEST

START_TEST(neither_control_bytes_nor_umlauts_become_fields) {
    struct scene scene = begin(NULL, 0);
    static const char *const types[] = {"text/plain\r\nx-amz-acl: public-read", "text/plain; title=\xc3\xbc"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        const struct put_how how = {.content_type = types[i]};
        expect_fault(put(scene.pool, "x", "1", 1, &how), ERR_INVALID, REASON_INVALID_HEADER);
    }
    end(&scene);
}
END_TEST

START_TEST(an_extension_travels_in_pieces) {
    uint8_t bytes[META_EXTENSION_MOST_BYTES];
    memset(bytes, 0xa5, sizeof bytes);
    /* Base64 of these bytes is "paWl" over and over; what the put sends, the answer to the stat brings back. */
    static char stored[8192];
    int at = snprintf(stored, sizeof stored, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int piece = 0; piece < 12; piece++) {
        at += snprintf(stored + at, sizeof stored - (size_t)at, "x-amz-meta-lailad-x%d: ", piece);
        for (int group = 0; group < (piece < 11 ? 60 : 22); group++) {
            at += snprintf(stored + at, sizeof stored - (size_t)at, "paWl");
        }
        at += snprintf(stored + at, sizeof stored - (size_t)at, piece < 11 ? "\r\n" : "paU=\r\n\r\n");
    }
    const struct fake_answer answers[] = {{.text = PUT_OK}, {.text = stored}};
    struct scene scene = begin(answers, 2);
    struct meta meta, back;
    meta_init(&meta);
    meta.extension = blob_copy(bytes, sizeof bytes);
    meta.has_sha256 = true;
    digest_sha256("", 0, meta.sha256);
    struct blob *body = blob_new(0);
    struct entry *entry = entry_new(&meta, body);
    struct commit_result result;
    struct id id = id_of("x");
    ck_assert_int_eq(pool_put_entry(scene.pool, fresh_op(), &id, entry, NULL, NULL, &result), OK);
    meta_fini(&result.meta);
    for (int piece = 0; piece < 12; piece++) {
        char name[32];
        snprintf(name, sizeof name, "x-amz-meta-lailad-x%d", piece);
        const char *sent = field(&scene, 0, name);
        ck_assert_ptr_nonnull(sent);
        ck_assert_uint_eq(strlen(sent), piece < 11 ? 240 : 92);
        ck_assert_ptr_nonnull(strstr(stored, sent));
    }
    ck_assert_int_eq(pool_stat(scene.pool, fresh_op(), &id, &back), OK);
    ck_assert_ptr_nonnull(back.extension);
    ck_assert_uint_eq(back.extension->size, sizeof bytes);
    ck_assert_mem_eq(back.extension->data, bytes, sizeof bytes);
    meta_fini(&back);
    entry_unref(entry);
    blob_unref(body);
    meta_fini(&meta);
    end(&scene);
}
END_TEST

/* ---- preconditions ---- */

static struct condition condition_of(enum condition_kind kind, const char *tag) {
    struct condition condition = {.kind = kind, .count = tag ? 1 : 0};
    if (tag) {
        snprintf(condition.tag[0], sizeof condition.tag[0], "\"%s\"", tag);
    }
    return condition;
}

static enum err put_if(struct scene *scene, enum condition_kind kind, const char *tag) {
    struct condition condition = condition_of(kind, tag);
    return put(scene->pool, "x", "1", 1, &(struct put_how){.condition = &condition});
}

START_TEST(absence_is_the_servers_to_judge) {
    const struct fake_answer answers[] = {{.text = PUT_OK}, {.text = FAILED_412}, {.text = NOT_IMPLEMENTED}};
    struct scene scene = begin(answers, 3);
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_UNSUPPORTED,
                 REASON_CONDITIONAL_WRITE_UNSUPPORTED);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(field(&scene, i, "If-None-Match"), "*");
    }
    end(&scene);
}
END_TEST

START_TEST(tags_are_translated) {
    const struct fake_answer answers[] = {
        {.text = HEAD_OLD},  {.text = PUT_OK},                   /* ours: "s3-old" */
        {.text = HEAD_OLD},                                      /* another tag */
        {.text = HEAD_NONE}, {.text = NO_KEY},                   /* nothing there */
        {.text = HEAD_OLD},  {.text = PUT_OK},                   /* any tag */
        {.text = HEAD_OLD},                                      /* not this tag */
        {.text = HEAD_OLD},  {.text = PUT_OK},                   /* not another tag */
        {.text = HEAD_NONE}, {.text = NO_KEY}, {.text = PUT_OK}, /* not this tag: absent */
    };
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 1, "If-Match"), "\"old\"");
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-other"), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-old"), ERR_PRECONDITION, REASON_NOT_LOCAL);
    ck_assert_int_eq(put_if(&scene, CONDITION_PRESENT, NULL), OK);
    ck_assert_str_eq(field(&scene, 6, "If-Match"), "\"old\"");
    expect_fault(put_if(&scene, CONDITION_NONE_MATCH, "s3-old"), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    ck_assert_int_eq(put_if(&scene, CONDITION_NONE_MATCH, "s3-other"), OK);
    ck_assert_str_eq(field(&scene, 9, "If-Match"), "\"old\"");
    ck_assert_int_eq(put_if(&scene, CONDITION_NONE_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 12, "If-None-Match"), "*");
    end(&scene);
}
END_TEST

START_TEST(a_store_that_compares_quotes_is_understood) {
    const struct fake_answer answers[] = {{.text = HEAD_OLD},
                                          {.text = FAILED_412},
                                          {.text = HEAD_OLD},
                                          {.text = PUT_OK},
                                          {.text = HEAD_OLD},
                                          {.text = FAILED_412},
                                          {.text = HEAD_CACHED "x", .text_bytes = sizeof HEAD_CACHED - 1},
                                          {.text = FAILED_412},
                                          {.text = HEAD_OLD},
                                          {.text = FAILED_412},
                                          {.text = HEAD_NONE},
                                          {.text = NO_KEY}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 1, "If-Match"), "\"old\"");
    ck_assert_str_eq(field(&scene, 3, "If-Match"), "old");
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-old"), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_fault(put_if(&scene, CONDITION_MATCH, "s3-old"), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    end(&scene);
}
END_TEST

START_TEST(deletes_under_a_precondition) {
    const struct fake_answer answers[] = {{.text = HEAD_OLD},   {.text = "HTTP/1.1 204 No Content\r\n\r\n"},
                                          {.text = HEAD_OLD},   {.text = HEAD_OLD},
                                          {.text = FAILED_412}, {.text = HEAD_NONE},
                                          {.text = NO_KEY}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    struct id id = id_of("x");
    struct condition ours = condition_of(CONDITION_MATCH, "s3-old");
    struct condition other = condition_of(CONDITION_MATCH, "s3-other");
    bool existed = false;
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), OK);
    ck_assert(existed);
    ck_assert_str_eq(field(&scene, 1, "If-Match"), "\"old\"");
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &other, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_PRECONDITION,
                 REASON_NOT_LOCAL);
    end(&scene);
}
END_TEST

/* ---- lost answers ---- */

START_TEST(a_lost_answer_is_no_failed_precondition) {
    const char *const late = "HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n";
    const struct fake_answer answers[] = {
        /* Written by the first attempt. */
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS)},
        /* A gateway lost it. */
        {.text = late, .after = FAKE_CLOSE},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS), .after = FAKE_CLOSE},
        /* Somebody else's object of the same bytes. */
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS - 1), .after = FAKE_CLOSE},
        /* Gone again. */
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = HEAD_NONE},
        {.text = NO_KEY},
        /* Every answer seen: the precondition failed. */
        {.text = FAILED_412},
    };
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_UNAVAILABLE, REASON_UNAVAILABLE);
    expect_fault(put_if(&scene, CONDITION_ABSENT, NULL), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    end(&scene);
}
END_TEST

START_TEST(a_kept_connection_that_dies_loses_answers_too) {
    /* libcurl sends the request again by itself, without a word to us. */
    const struct fake_answer answers[] = {
        {.text = PUT_OK}, {.after = FAKE_CLOSE}, {.text = FAILED_412}, {.text = head_made("new", MADE_MS)}};
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put(scene.pool, "y", "1", 1, NULL), OK);
    ck_assert_int_eq(put_if(&scene, CONDITION_ABSENT, NULL), OK);
    end(&scene);
}
END_TEST

START_TEST(a_lost_answer_to_a_pinned_write) {
    const struct fake_answer answers[] = {
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS), .after = FAKE_CLOSE}, /* written */
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412}, /* Ceph: for the quotes; nothing was written */
        {.text = HEAD_OLD},
        {.text = HEAD_OLD},
        {.text = PUT_OK},
    };
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_int_eq(put_if(&scene, CONDITION_MATCH, "s3-old"), OK);
    ck_assert_str_eq(field(&scene, 9, "If-Match"), "old");
    end(&scene);
}
END_TEST

START_TEST(a_lost_answer_to_a_delete) {
    const struct fake_answer answers[] = {
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = HEAD_NONE},
        {.text = NO_KEY, .after = FAKE_CLOSE}, /* absent: deleted */
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = HEAD_OLD, .after = FAKE_CLOSE}, /* still there: refused */
        {.text = HEAD_OLD, .after = FAKE_CLOSE},
        {.after = FAKE_RESET},
        {.text = FAILED_412},
        {.text = head_made("new", MADE_MS), .after = FAKE_CLOSE}, /* another one: who knows */
        {.after = FAKE_RESET},
        {.text = NO_KEY}, /* unconditional, and gone by the first attempt */
    };
    struct scene scene = begin_made(answers, ARRAY_COUNT(answers));
    struct id id = id_of("x");
    struct condition ours = condition_of(CONDITION_MATCH, "s3-old");
    bool existed = false;
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), OK);
    ck_assert(existed);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    expect_fault(pool_remove(scene.pool, fresh_op(), &id, &ours, &existed), ERR_UNAVAILABLE,
                 REASON_UNAVAILABLE);
    existed = false;
    ck_assert_int_eq(pool_remove(scene.pool, fresh_op(), &id, NULL, &existed), OK);
    ck_assert(existed);
    end(&scene);
}
END_TEST

/* ---- fills ---- */

static enum err fill(struct scene *scene, bool broken) {
    struct fence fence = {.is_raised = false};
    struct id id = id_of("x");
    ck_assert_int_eq(fence_raise(&scene->pool->fences, fresh_op(), &fence, &id), OK);
    if (broken) {
        fence_break(&scene->pool->fences, &id);
    }
    enum err err = put(scene->pool, "x", "1", 1, &(struct put_how){.fence = &fence, .hold = HOLD_CACHED});
    fence_lower(&scene->pool->fences, &fence);
    return err;
}

START_TEST(fills_create_only_where_the_store_can) {
    const struct fake_answer answers[] = {
        {.text = PUT_OK},     {.text = FAILED_412},  {.text = HEAD_OLD}, /* owned: stays */
        {.text = FAILED_412}, {.text = HEAD_CACHED}, {.text = PUT_OK},   /* that very copy: replaced */
        {.text = FAILED_412}, {.text = HEAD_NONE},   {.text = NO_KEY}, /* gone meanwhile: somebody is at it */
    };
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(fill(&scene, false), OK);
    ck_assert_str_eq(field(&scene, 0, "If-None-Match"), "*");
    expect_fault(fill(&scene, false), ERR_SUPERSEDED, REASON_SUPERSEDED);
    expect_fault(fill(&scene, true), ERR_SUPERSEDED, REASON_SUPERSEDED);
    ck_assert_int_eq(fill(&scene, false), OK);
    ck_assert_ptr_null(field(&scene, 5, "If-None-Match"));
    ck_assert_ptr_nonnull(field(&scene, 5, "If-Match"));
    expect_fault(fill(&scene, false), ERR_SUPERSEDED, REASON_SUPERSEDED);
    end(&scene);
}
END_TEST

START_TEST(fills_look_first_where_it_cannot) {
    const struct fake_answer answers[] = {
        {.text = NOT_IMPLEMENTED}, {.text = HEAD_NONE}, {.text = NO_KEY},
        {.text = PUT_OK},          {.text = HEAD_OLD}, /* owned: stays; and create-only is not tried again */
        {.text = HEAD_CACHED},     {.text = PUT_OK},   /* a copy: replaced */
    };
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    ck_assert_int_eq(fill(&scene, false), OK);
    ck_assert_ptr_null(field(&scene, 3, "If-None-Match"));
    expect_fault(fill(&scene, false), ERR_SUPERSEDED, REASON_SUPERSEDED);
    ck_assert_int_eq(fill(&scene, false), OK);
    end(&scene);
}
END_TEST

/* ---- parts ---- */

TCase *s3_writes_case(void) {
    TCase *tcase = tcase_create("writes");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_put_says_everything, 0, 2);
    tcase_add_test(tcase, a_body_is_sent_again_whole);
    tcase_add_test(tcase, a_writer_closed_early_sends_nothing);
    tcase_add_test(tcase, neither_control_bytes_nor_umlauts_become_fields);
    tcase_add_test(tcase, an_extension_travels_in_pieces);
    tcase_add_test(tcase, absence_is_the_servers_to_judge);
    tcase_add_test(tcase, tags_are_translated);
    tcase_add_test(tcase, a_store_that_compares_quotes_is_understood);
    tcase_add_test(tcase, deletes_under_a_precondition);
    tcase_add_test(tcase, a_lost_answer_is_no_failed_precondition);
    tcase_add_test(tcase, a_kept_connection_that_dies_loses_answers_too);
    tcase_add_test(tcase, a_lost_answer_to_a_pinned_write);
    tcase_add_test(tcase, a_lost_answer_to_a_delete);
    tcase_add_test(tcase, fills_create_only_where_the_store_can);
    tcase_add_test(tcase, fills_look_first_where_it_cannot);
    return tcase;
}
