/* test_s3_list.c - pages, cursors, foreign keys, and emptying without touching them. */
#include "s3_suites.h"

#include "fake_store.h"
#include "s3_fixture.h"

#include <stdio.h>
#include <string.h>

struct scene {
    struct fake_store *store;
    struct pool *pool;
};

static struct scene begin(const struct fake_answer *answers, size_t count) {
    static const struct s3_setting settings[] = {{"prefix", "p/"}, {NULL, NULL}};
    struct scene scene = {.store = fake_store_start(answers, count)};
    scene.pool = s3_fixture_open_port(fake_store_port(scene.store), &(struct s3_how){.settings = settings});
    return scene;
}

static void end(struct scene *scene) {
    pool_unref(scene->pool);
    fake_store_stop(scene->store);
}

/* A page of these keys (ended by NULL), as a server writes it with encoding-type=url. */
static const char *page(bool truncated, const char *const *keys) {
    static char text[8][4096];
    static unsigned next;
    char body[3072];
    int at = snprintf(body, sizeof body,
                      "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>",
                      truncated ? "true" : "false");
    for (; *keys; keys++) {
        at += snprintf(body + at, sizeof body - (size_t)at, "<Contents><Key>%s</Key></Contents>", *keys);
    }
    at += snprintf(body + at, sizeof body - (size_t)at, "</ListBucketResult>");
    char *to = text[next++ % 8];
    snprintf(to, sizeof text[0], "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", at, body);
    return to;
}
#define PAGE(truncated, ...) page(truncated, (const char *const[]){__VA_ARGS__, NULL})
#define NO_PAGE page(false, (const char *const[]){NULL})

static void expect_line(struct scene *scene, size_t index, const char *line) {
    const char *head = fake_store_head(scene->store, index);
    ck_assert_msg(strncmp(head, line, strlen(line)) == 0 && head[strlen(line)] == ' ', "%.200s", head);
}

START_TEST(pages_are_followed) {
    const struct fake_answer answers[] = {{.text = PAGE(true, "p/a", "p/a%253Ab", "p/a:foreign")},
                                          {.text = PAGE(false, "p/b")}};
    struct scene scene = begin(answers, 2);
    struct listing listing;
    ck_assert_int_eq(pool_list(scene.pool, fresh_op(), "", NULL, 10, &listing), OK);
    ck_assert_uint_eq(listing.count, 3);
    ck_assert_str_eq(listing.ids[0], "a");
    ck_assert_str_eq(listing.ids[1], "a:b");
    ck_assert_str_eq(listing.ids[2], "b");
    ck_assert_ptr_null(listing.next_cursor);
    listing_fini(&listing);
    expect_line(&scene, 0, "GET /bucket?encoding-type=url&list-type=2&max-keys=10&prefix=p%2F");
    expect_line(
        &scene, 1,
        "GET /bucket?encoding-type=url&list-type=2&max-keys=8&prefix=p%2F&start-after=p%2Fa%3Aforeign");
    struct pool_status status;
    pool_get_status(scene.pool, &status);
    ck_assert(status.foreign_known && status.foreign == 1 && !status.counts_known);
    end(&scene);
}
END_TEST

START_TEST(a_page_larger_than_asked_is_refused) {
    const struct fake_answer answers[] = {{.text = PAGE(true, "p/a", "p/b")}};
    struct scene scene = begin(answers, 1);
    struct listing listing;
    expect_fault(pool_list(scene.pool, fresh_op(), "", NULL, 1, &listing), ERR_CORRUPT, REASON_BAD_ANSWER);
    end(&scene);
}
END_TEST

START_TEST(cursors) {
    const struct fake_answer answers[] = {{.text = PAGE(true, "p/!")},
                                          {.text = PAGE(true, "p/x%2520y")},
                                          {.text = PAGE(false, "p/x%2520z", "p/~%25")}};
    struct scene scene = begin(answers, 3);
    struct listing first, second;
    ck_assert_int_eq(pool_list(scene.pool, fresh_op(), "", NULL, 1, &first), OK);
    ck_assert_uint_eq(first.count, 1); /* "!" is not canonical: %21 would be */
    ck_assert_str_eq(first.ids[0], "x y");
    ck_assert_ptr_nonnull(first.next_cursor);
    ck_assert_int_eq(pool_list(scene.pool, fresh_op(), "", first.next_cursor, 2, &second), OK);
    ck_assert_uint_eq(second.count, 1);
    ck_assert_str_eq(second.ids[0], "x z");
    ck_assert_ptr_null(second.next_cursor);
    struct pool_status status;
    pool_get_status(scene.pool, &status);
    ck_assert_uint_eq(status.foreign, 2); /* counted over all pages */
    listing_fini(&first);
    listing_fini(&second);
    end(&scene);
}
END_TEST

static const char *const bad_cursor[] = {"",        "x",         "1",       "1.",
                                         ".p%2Fa",  "-1.p%2Fa",  "0.q%2Fa", "0.p/a",
                                         "0.p%2fa", "0.p%2F%00", "0.p%2",   "99999999999999999999.p%2Fa",
                                         "MTIz"};

START_TEST(bad_cursors_are_told) {
    struct scene scene = begin(NULL, 0);
    struct listing listing;
    expect_fault(pool_list(scene.pool, fresh_op(), "", bad_cursor[_i], 10, &listing), ERR_INVALID,
                 REASON_INVALID_QUERY);
    end(&scene);
}
END_TEST

START_TEST(an_id_prefix_is_encoded) {
    const struct fake_answer answers[] = {{.text = PAGE(false, "p/LAILA%253Ax")}};
    struct scene scene = begin(answers, 1);
    struct listing listing;
    ck_assert_int_eq(pool_list(scene.pool, fresh_op(), "LAILA:", NULL, 1000, &listing), OK);
    ck_assert_str_eq(listing.ids[0], "LAILA:x");
    listing_fini(&listing);
    expect_line(&scene, 0, "GET /bucket?encoding-type=url&list-type=2&max-keys=1000&prefix=p%2FLAILA%253A");
    struct pool_status status;
    pool_get_status(scene.pool, &status);
    ck_assert(!status.foreign_known);
    end(&scene);
}
END_TEST

START_TEST(a_listing_that_stands_still_is_refused) {
    const struct fake_answer answers[] = {{.text = PAGE(true, "p/b")}, {.text = PAGE(true, "p/b")}};
    struct scene scene = begin(answers, 2);
    struct listing listing;
    expect_fault(pool_list(scene.pool, fresh_op(), "", NULL, 10, &listing), ERR_CORRUPT, REASON_BAD_ANSWER);
    end(&scene);
}
END_TEST

#define DELETED "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<DeleteResult/>"
#define GONE "HTTP/1.1 204 No Content\r\n\r\n"

START_TEST(emptying_spares_what_is_foreign) {
    const struct fake_answer answers[] = {{.text = PAGE(true, "p/", "p/a%253A", "p/b:c")},
                                          {.text = DELETED},
                                          {.text = PAGE(true, "p/d/e")},
                                          {.text = PAGE(false, "p/f")},
                                          {.text = DELETED}};
    struct scene scene = begin(answers, 5);
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(scene.pool, fresh_op(), &removed), OK);
    ck_assert_uint_eq(removed, 2);
    expect_line(&scene, 1, "POST /bucket?delete=");
    ck_assert_ptr_nonnull(fake_store_field(scene.store, 1, "Content-MD5"));
    ck_assert_ptr_nonnull(
        strstr(fake_store_body(scene.store, 1), "<Object><Key>p/a%3A</Key></Object></Delete>"));
    ck_assert_ptr_null(strstr(fake_store_body(scene.store, 1), "b:c"));
    ck_assert_ptr_nonnull(strstr(fake_store_body(scene.store, 4),
                                 "<Quiet>true</Quiet><Object><Key>p/f</Key></Object></Delete>"));
    struct pool_status status;
    pool_get_status(scene.pool, &status);
    ck_assert_uint_eq(status.foreign, 3);
    end(&scene);
}
END_TEST

START_TEST(emptying_tells_how_far_it_came) {
    const struct fake_answer answers[] = {
        {.text = PAGE(false, "p/a", "p/b", "p/c")},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: "
                 "83\r\n\r\n<DeleteResult><Error><Key>p/b</Key><Code>AccessDenied</Code>"
                 "</Error></DeleteResult>"}};
    struct scene scene = begin(answers, 2);
    uint64_t removed = 0;
    expect_fault(pool_empty(scene.pool, fresh_op(), &removed), ERR_DENIED, REASON_DENIED);
    ck_assert_uint_eq(removed, 2);
    end(&scene);
}
END_TEST

/* The answer to a bulk delete that refused these keys: pairs of key and code, ended by NULL. */
static const char *refused(const char *const *pairs) {
    static char text[8][2048];
    static unsigned next;
    char body[1024];
    int at = snprintf(body, sizeof body, "<DeleteResult>");
    for (; *pairs; pairs += 2) {
        at += snprintf(body + at, sizeof body - (size_t)at, "<Error><Key>%s</Key><Code>%s</Code></Error>",
                       pairs[0], pairs[1]);
    }
    at += snprintf(body + at, sizeof body - (size_t)at, "</DeleteResult>");
    char *to = text[next++ % 8];
    snprintf(to, sizeof text[0], "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", at, body);
    return to;
}
#define REFUSED(...) refused((const char *const[]){__VA_ARGS__, NULL})

START_TEST(refused_keys_are_asked_for_once_more) {
    const struct fake_answer answers[] = {{.text = PAGE(false, "p/a", "p/b", "p/c", "p/d")},
                                          {.text = REFUSED("p/c", "SlowDown", "p/d", "InternalError")},
                                          {.text = DELETED}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(scene.pool, fresh_op(), &removed), OK);
    ck_assert_uint_eq(removed, 4);
    ck_assert_ptr_nonnull(strstr(fake_store_body(scene.store, 2),
                                 "<Quiet>true</Quiet><Object><Key>p/c</Key></Object>"
                                 "<Object><Key>p/d</Key></Object></Delete>"));
    end(&scene);
}
END_TEST

START_TEST(a_key_refused_twice_has_its_own_reason) {
    const struct fake_answer answers[] = {{.text = PAGE(false, "p/a", "p/b")},
                                          {.text = REFUSED("p/b", "SlowDown")},
                                          {.text = REFUSED("p/b", "SlowDown")}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    uint64_t removed = 0;
    expect_fault(pool_empty(scene.pool, fresh_op(), &removed), ERR_THROTTLED, REASON_THROTTLED);
    ck_assert_uint_eq(removed, 1);
    end(&scene);
}
END_TEST

START_TEST(a_refused_key_does_not_end_the_emptying) {
    const struct fake_answer answers[] = {{.text = PAGE(true, "p/a", "p/b", "p/c")},
                                          {.text = REFUSED("p/a", "AccessDenied", "p/c", "InternalError")},
                                          {.text = DELETED}, /* c, the second time */
                                          {.text = PAGE(false, "p/d", "p/e")},
                                          {.text = REFUSED("p/d", "EntityTooLarge")}};
    struct scene scene = begin(answers, ARRAY_COUNT(answers));
    uint64_t removed = 0;
    expect_fault(pool_empty(scene.pool, fresh_op(), &removed), ERR_DENIED, REASON_DENIED); /* the first */
    ck_assert_uint_eq(removed, 3);
    end(&scene);
}
END_TEST

START_TEST(emptying_one_by_one_where_it_must) {
    const struct fake_answer answers[] = {{.text = PAGE(false, "p/a", "p/b%2520")},
                                          {.text = "HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n"},
                                          {.text = GONE},
                                          {.text = GONE}};
    struct scene scene = begin(answers, 4);
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(scene.pool, fresh_op(), &removed), OK);
    ck_assert_uint_eq(removed, 2);
    expect_line(&scene, 3, "DELETE /bucket/p/b%2520");
    end(&scene);
}
END_TEST

START_TEST(nothing_to_list_or_empty) {
    const struct fake_answer answers[] = {{.text = NO_PAGE}, {.text = NO_PAGE}};
    struct scene scene = begin(answers, 2);
    struct listing listing;
    uint64_t removed = 7;
    ck_assert_int_eq(pool_list(scene.pool, fresh_op(), "", NULL, 10, &listing), OK);
    ck_assert_uint_eq(listing.count, 0);
    ck_assert_ptr_null(listing.next_cursor);
    listing_fini(&listing);
    ck_assert_int_eq(pool_empty(scene.pool, fresh_op(), &removed), OK);
    ck_assert_uint_eq(removed, 0);
    end(&scene);
}
END_TEST

TCase *s3_list_case(void) {
    TCase *tcase = tcase_create("list");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, pages_are_followed);
    tcase_add_test(tcase, a_page_larger_than_asked_is_refused);
    tcase_add_test(tcase, cursors);
    tcase_add_loop_test(tcase, bad_cursors_are_told, 0, (int)ARRAY_COUNT(bad_cursor));
    tcase_add_test(tcase, an_id_prefix_is_encoded);
    tcase_add_test(tcase, a_listing_that_stands_still_is_refused);
    tcase_add_test(tcase, emptying_spares_what_is_foreign);
    tcase_add_test(tcase, emptying_tells_how_far_it_came);
    tcase_add_test(tcase, refused_keys_are_asked_for_once_more);
    tcase_add_test(tcase, a_key_refused_twice_has_its_own_reason);
    tcase_add_test(tcase, a_refused_key_does_not_end_the_emptying);
    tcase_add_test(tcase, emptying_one_by_one_where_it_must);
    tcase_add_test(tcase, nothing_to_list_or_empty);
    return tcase;
}
