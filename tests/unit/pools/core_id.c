/* core_id.c - what an id and a nickname may be. */
#include "tests/unit/pools/core_suites.h"

#include "pools/base/attrs.h"
#include "pools/id.h"

static const struct {
    const char *text;
    size_t bytes;
    bool valid;
} ids[] = {
    {"a", 1, true},    {"/", 1, true},           {"..", 2, true},       {" ", 1, true},
    {"\x01", 1, true}, {"caf\xc3\xa9", 5, true}, {"", 0, false},        {"a\0b", 3, false},
    {"\0", 1, false},  {"\xff", 1, false},       {"caf\xc3", 4, false}, {"\xed\xa0\x80", 3, false},
};

START_TEST(id_rules) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = {0};
    enum err err = id_from_bytes(&op, ids[_i].text, ids[_i].bytes, &id);
    ck_assert_int_eq(err, ids[_i].valid ? OK : ERR_INVALID);
    if (ids[_i].valid) {
        struct id trusted = id_trusted(ids[_i].text, ids[_i].bytes);
        ck_assert(id_equal(&id, &trusted));
        ck_assert_uint_eq(id.bytes, ids[_i].bytes);
    } else {
        ck_assert_int_eq(op.fault.reason, REASON_INVALID_ID);
        ck_assert_ptr_null(id.text);
    }
}
END_TEST

START_TEST(the_longest_id) {
    struct op op;
    op_init(&op, 0, 0);
    char text[ID_MOST_BYTES + 2];
    memset(text, 'x', sizeof text);
    struct id id;
    text[ID_MOST_BYTES] = '\0';
    ck_assert_int_eq(id_from_bytes(&op, text, ID_MOST_BYTES, &id), OK);
    text[ID_MOST_BYTES] = 'x';
    ck_assert_int_eq(id_from_bytes(&op, text, ID_MOST_BYTES + 1, &id), ERR_INVALID);
}
END_TEST

START_TEST(equality) {
    struct id a = id_trusted("a:b", 3);
    struct id b = id_trusted("a:b", 3);
    struct id c = id_trusted("a%3Ab", 5);
    struct id d = id_trusted("a:b:", 4);
    ck_assert(id_equal(&a, &b));
    ck_assert(!id_equal(&a, &c));
    ck_assert(!id_equal(&a, &d));
}
END_TEST

START_TEST(nicknames) {
    static const char *const good[] = {"a", "0", "alpha", "A.b_c-d",
                                       "x1234567890123456789012345678901234567890123456789012345678901_."};
    static const char *const bad[] = {
        "",     ".a",  "-a",
        "_a",   "a b", "a/b",
        "a:b",  "a\n", "caf\xc3\xa9",
        "a%20", "..",  "x1234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        ck_assert_msg(nickname_valid(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ck_assert_msg(!nickname_valid(bad[i]), "%s", bad[i]);
    }
}
END_TEST

Suite *id_suite(void) {
    Suite *suite = suite_create("id");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, id_rules, 0, (int)ARRAY_COUNT(ids));
    tcase_add_test(tcase, the_longest_id);
    tcase_add_test(tcase, equality);
    tcase_add_test(tcase, nicknames);
    suite_add_tcase(suite, tcase);
    return suite;
}
