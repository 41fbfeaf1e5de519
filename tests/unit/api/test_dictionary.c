/* test_dictionary.c - structured-field dictionaries: the grammar of RFC 9651, member by member. */
#include "api/dictionary.h"
#include "pools/base/attrs.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "key|value;key|value": what the members say; "!" at the end when the rest is malformed. */
static const char *walk(const char *field) {
    static char said[200];
    said[0] = '\0';
    size_t used = 0;
    struct dictionary_member member;
    for (;;) {
        switch (dictionary_next(&field, &member)) {
        case DICTIONARY_MEMBER:
            used += (size_t)snprintf(said + used, sizeof said - used, "%.*s|%.*s;", (int)member.key_bytes,
                                     member.key, (int)member.value_bytes, member.value ? member.value : "");
            break;
        case DICTIONARY_END:
            return said;
        case DICTIONARY_MALFORMED:
            snprintf(said + used, sizeof said - used, "!");
            return said;
        }
    }
}

static const struct {
    const char *field, *said;
} rows[] = {
    {"", ""},
    {"  ", ""},
    {"a", "a|;"},
    {"a, b", "a|;b|;"},
    {"a=1\t,\t b=-2.125 ", "a|1;b|-2.125;"},
    {"a=123456789012345", "a|123456789012345;"},
    {"*a_b-c.d*=tok/en:x", "*a_b-c.d*|tok/en:x;"},
    {"a=*", "a|*;"},
    {"a=\"x, \\\"y\\\\\"", "a|\"x, \\\"y\\\\\";"},
    {"a=:AZaz09+/==:", "a|:AZaz09+/==:;"},
    {"a=::", "a|::;"},
    {"a=?0, b=?1", "a|?0;b|?1;"},
    {"a=(), b=( 1 \"x\";p=2 tok )", "a|();b|( 1 \"x\";p=2 tok );"},
    {"a=1;p;  q=:eA==:;r=\"s\", b;p=1", "a|1;b|;"},
    {"a, a=2", "a|;a|2;"},
    {"A=1", "!"},
    {"1=1", "!"},
    {"=1", "!"},
    {"a b", "!"},
    {"a =1", "!"},
    {"a= 1", "!"},
    {"a=", "!"},
    {"a=1,", "!"},
    {",a", "!"},
    {"a,,b", "a|;!"},
    {"a=1 b=2", "!"},
    {"a=1.", "!"},
    {"a=.5", "!"},
    {"a=--1", "!"},
    {"a=-", "!"},
    {"a=1234567890123456", "!"},
    {"a=1234567890123.1", "!"},
    {"a=1.1234", "!"},
    {"a=\"open", "!"},
    {"a=\"\\x\"", "!"},
    {"a=\"\\", "!"},
    {"a=\"\xc3\xa4\"", "!"},
    {"a=\xc3\xa4", "!"},
    {"a=:open", "!"},
    {"a=:x y:", "!"},
    {"a=?2", "!"},
    {"a=?", "!"},
    {"a=(1", "!"},
    {"a=(1\"x\")", "!"},
    {"a=((1))", "!"},
    {"a=1;", "!"},
    {"a=1;P", "!"},
    {"a=1 ;p", "!"},
    {"a=@1", "!"},
};

START_TEST(members) {
    ck_assert_str_eq(walk(rows[_i].field), rows[_i].said);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dictionary");
    TCase *tcase = tcase_create("walk");
    tcase_add_loop_test(tcase, members, 0, (int)ARRAY_COUNT(rows));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
