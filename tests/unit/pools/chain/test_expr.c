/* test_expr.c - chain expressions: what is legal, what is refused and where, and back to text. */
#include "pools/base/hash.h"
#include "pools/chain/expr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static enum err parse(struct op *op, const char *text, struct expr_links *links) {
    op_init(op, 0, 0);
    *links = (struct expr_links){0};
    return expr_parse(op, text, strlen(text), links);
}

/* text -> links -> text */
static const struct {
    const char *text;
    const char *formatted;
} valid[] = {
    {"", ""},
    {"\n\n  \n", ""},
    {"alpha", ""},
    {"alpha << hdf5", "alpha << hdf5\n"},
    {"hdf5 >> alpha", "alpha << hdf5\n"},
    {"alpha<<hdf5<<s3", "alpha << hdf5 << s3\n"},
    {"s3 >> hdf5 >> alpha", "alpha << hdf5 << s3\n"},
    {"  alpha\t<<  hdf5 \r\n", "alpha << hdf5\n"},
    {"alpha << hdf5\nhdf5 << s3", "alpha << hdf5 << s3\n"},
    {"hdf5 << s3\nbeta << hdf5\nalpha << hdf5", "alpha << hdf5 << s3\nbeta << hdf5 << s3\n"},
    {"z << y\na << b", "a << b\nz << y\n"},
    {"a << b\na << b", "a << b\n"},
    {"s3 >> a\nb << s3", "a << s3\nb << s3\n"},
    {"a.b-c_1 << 9", "a.b-c_1 << 9\n"},
};

START_TEST(valid_expressions) {
    struct op op;
    struct expr_links links;
    ck_assert_int_eq(parse(&op, valid[_i].text, &links), OK);
    struct buf buf;
    buf_init(&buf, EXPR_MOST_BYTES);
    ck_assert_int_eq(expr_format(&op, &links, &buf), OK);
    ck_assert_str_eq(buf.data ? buf.data : "", valid[_i].formatted);
    struct expr_links again = {0};
    ck_assert_int_eq(expr_parse(&op, buf.data ? buf.data : "", buf.size, &again), OK);
    ck_assert_uint_eq(again.count, links.count);
    expr_links_fini(&again);
    expr_links_fini(&links);
    buf_fini(&buf);
}
END_TEST

static const struct {
    const char *text;
    const char *says;
} invalid[] = {
    {"<< a", "line 1, column 1"},
    {"a <<", "line 1, column 5"},
    {"a << b\nc <", "line 2, column 3"},
    {"a << b >> c", "line 1, column 8: '<<' and '>>' cannot be mixed"},
    {"a << << b", "line 1, column 6"},
    {"a b", "line 1, column 3"},
    {"a <<< b", "line 1, column 5"},
    {"a = b", "line 1, column 3"},
    {"-a << b", "line 1, column 1"},
    {"a << b/c", "line 1, column 6"},
    {"a << b\na << c", "'a' has two origins: 'b' and 'c'"},
    {"a << x << c\nb << x << d", "'x' has two origins"},
    {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg << b", "column 1"},
};

START_TEST(invalid_expressions) {
    struct op op;
    struct expr_links links;
    ck_assert_int_eq(parse(&op, invalid[_i].text, &links), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_CHAIN);
    ck_assert_msg(strstr(op.fault.detail, invalid[_i].says) != NULL, "%s", op.fault.detail);
    ck_assert_uint_eq(links.count, 0);
    ck_assert_ptr_null(links.links);
}
END_TEST

START_TEST(a_nul_byte_is_refused) {
    struct op op;
    op_init(&op, 0, 0);
    struct expr_links links = {0};
    ck_assert_int_eq(expr_parse(&op, "a << b\0c", 8, &links), ERR_INVALID);
}
END_TEST

START_TEST(cycles_parse_and_do_not_format) {
    static const char *const texts[] = {"a << a", "a << b << a", "a << b\nb << a", "x << a << b << c << a"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct op op;
        struct expr_links links;
        struct buf buf;
        buf_init(&buf, EXPR_MOST_BYTES);
        ck_assert_int_eq(parse(&op, texts[i], &links), OK);
        ck_assert_int_eq(expr_format(&op, &links, &buf), ERR_CONFLICT);
        ck_assert_int_eq(op.fault.reason, REASON_PROXY_CYCLE);
        ck_assert_uint_eq(buf.size, 0);
        expr_links_fini(&links);
        buf_fini(&buf);
    }
}
END_TEST

START_TEST(limits) {
    struct op op;
    op_init(&op, 0, 0);
    struct expr_links links = {0};
    char *spaces = malloc(EXPR_MOST_BYTES + 1);
    memset(spaces, ' ', EXPR_MOST_BYTES + 1);
    ck_assert_int_eq(expr_parse(&op, spaces, EXPR_MOST_BYTES, &links), OK);
    ck_assert_int_eq(expr_parse(&op, spaces, EXPR_MOST_BYTES + 1, &links), ERR_INVALID);
    free(spaces);
    struct buf text;
    buf_init(&text, EXPR_MOST_BYTES);
    for (int i = 0; i <= EXPR_MOST_LINKS; i++) {
        ck_assert_int_eq(buf_printf(&text, "p%d<<o\n", i), OK);
    }
    ck_assert_int_eq(expr_parse(&op, text.data, text.size, &links), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "4096 links"));
    buf_fini(&text);
}
END_TEST

START_TEST(a_long_shared_tail_stays_readable) {
    /* 300 heads over a tail of 200: written out in full it would not be read back. */
    struct buf text;
    buf_init(&text, EXPR_MOST_BYTES);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(buf_printf(&text, "t%d<<t%d\n", i, i + 1), OK);
    }
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(buf_printf(&text, "h%d<<t0\n", i), OK);
    }
    struct op op;
    op_init(&op, 0, 0);
    struct expr_links links = {0};
    struct expr_links again = {0};
    struct buf out;
    buf_init(&out, EXPR_MOST_BYTES);
    ck_assert_int_eq(expr_parse(&op, text.data, text.size, &links), OK);
    ck_assert_int_eq(expr_format(&op, &links, &out), OK);
    ck_assert_int_eq(expr_parse(&op, out.data, out.size, &again), OK);
    ck_assert_uint_eq(again.count, 500);
    ck_assert_mem_eq(again.links, links.links, 500 * sizeof *links.links);
    expr_links_fini(&links);
    expr_links_fini(&again);
    buf_fini(&text);
    buf_fini(&out);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("expr");
    TCase *tcase = tcase_create("expr");
    tcase_add_loop_test(tcase, valid_expressions, 0, (int)ARRAY_COUNT(valid));
    tcase_add_loop_test(tcase, invalid_expressions, 0, (int)ARRAY_COUNT(invalid));
    tcase_add_test(tcase, a_nul_byte_is_refused);
    tcase_add_test(tcase, cycles_parse_and_do_not_format);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, a_long_shared_tail_stays_readable);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
