/* cases_ids.c - every awkward id is one entry of its own and comes back from a listing as it was. */
#include "tests/contract/support.h"

static const char *const awkward[] = {
    "LAILA:ENTRY:GLOBAL_ID:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "a:b",
    "a%3Ab",
    "a%3ab",
    "%",
    "%%",
    "%25",
    "%zz",
    "/",
    "//",
    "a/b",
    "a//b",
    "/a",
    "a/",
    "a%2Fb",
    ".",
    "..",
    "...",
    "./a",
    "../a",
    "a/../b",
    "%2E",
    "%2E%2E",
    " ",
    "  ",
    " leading",
    "trailing ",
    "in the middle",
    "+",
    "a+b",
    "caf\xc3\xa9",  /* composed */
    "cafe\xcc\x81", /* decomposed: another id */
    "\xe6\x97\xa5\xe6\x9c\xac",
    "\xf0\x9f\x98\x80",
    "\xef\xbb\xbf",     /* a lone byte order mark */
    "\xe2\x80\xae",     /* right-to-left override */
    "\xf4\x8f\xbf\xbf", /* the last code point */
    "\x01",
    "\x1f",
    "\x7f",
    "\t",
    "line\nline",
    "\r\n",
    "\"quoted\"",
    "'",
    "back\\slash",
    "?",
    "#",
    "a?b=c&d#e",
    "<xml>&amp;",
    "*",
    "{}",
    "[0]",
    "~",
    "A",
    "a", /* case matters */
    "null",
    "0",
    "-",
};

START_TEST(each_is_its_own_entry) {
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        struct body body = body_make(20 + i, i);
        put(awkward[i], &body);
        body_free(&body);
    }
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        struct body body = body_make(20 + i, i);
        assert_holds(awkward[i], &body);
        body_free(&body);
    }
    struct names names = list("", 10);
    ck_assert_uint_eq(names.count, ARRAY_COUNT(awkward));
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        ck_assert_msg(names_count(&names, awkward[i]) == 1, "row %zu is not listed as it was put", i);
    }
    names_free(&names);
}
END_TEST

START_TEST(removing_one_leaves_its_neighbours) {
    put_text("a:b", "one");
    put_text("a%3Ab", "two");
    put_text("a/b", "three");
    put_text("a%2Fb", "four");
    remove_id("a:b");
    remove_id("a%2Fb");
    assert_absent("a:b");
    assert_holds_text("a%3Ab", "two");
    assert_holds_text("a/b", "three");
    assert_absent("a%2Fb");
}
END_TEST

/* An id of exactly `bytes` bytes whose encoding takes three times as much when `escaped`. */
static void make_long_id(char *ret_text, size_t bytes, bool escaped) {
    memset(ret_text, escaped ? '/' : 'x', bytes);
    ret_text[bytes] = '\0';
}

START_TEST(the_longest_ids) {
    static const size_t lengths[] = {255, 256, 1000, 1023, ID_MOST_BYTES};
    size_t most = the_pool()->capabilities.max_key_bytes;
    char id[ID_MOST_BYTES + 1];
    for (size_t i = 0; i < 2 * ARRAY_COUNT(lengths); i++) {
        bool escaped = i % 2 == 1;
        size_t bytes = lengths[i / 2];
        make_long_id(id, bytes, escaped);
        struct body body = body_make(10, i);
        bool fits = !most || (escaped ? 3 * bytes : bytes) <= most;
        if (fits) {
            put(id, &body);
            assert_holds(id, &body);
            ck_assert(remove_id(id) || !the_pool()->capabilities.tells_created);
        } else {
            struct op *op = fresh_op();
            ck_assert_err(try_put(op, id, &body, NULL), ERR_INVALID);
            ck_assert_int_eq(op->fault.reason, REASON_ID_TOO_LONG_FOR_POOL);
        }
        assert_absent(id);
        remove_id(id);
        body_free(&body);
    }
}
END_TEST

TCase *cases_ids(void) {
    TCase *tcase = tcase_create("ids");
    tcase_add_test(tcase, each_is_its_own_entry);
    tcase_add_test(tcase, removing_one_leaves_its_neighbours);
    tcase_add_test(tcase, the_longest_ids);
    return tcase;
}
