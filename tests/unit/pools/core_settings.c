/* core_settings.c - one table of options: what it accepts, what it refuses and how, defaults, secrets. */
#include "tests/unit/pools/core_suites.h"

#include "pools/secret_names.h"

#include <inttypes.h>

static const char *const styles[] = {"path", "virtual", NULL};
static const struct option options[] = {
    {.name = "bucket", .type = OPTION_TEXT, .required = true, .sentence = "Where."},
    {.name = "key", .type = OPTION_TEXT, .secret = true, .sentence = "How."},
    {.name = "max_bytes",
     .type = OPTION_BYTES,
     .default_text = "256MiB",
     .least = 4096,
     .sentence = "How much."},
    {.name = "most", .type = OPTION_COUNT, .least = 1, .most = 10, .sentence = "How many."},
    {.name = "read_only", .type = OPTION_FLAG, .default_text = "false", .sentence = "Whether."},
    {.name = "style", .type = OPTION_CHOICE, .choices = styles, .default_text = "path", .sentence = "Which."},
};

static struct settings *settings;
static struct op op;

static void setup(void) {
    op_init(&op, 0, 0);
    settings = settings_new(options, ARRAY_COUNT(options));
    ck_assert_ptr_nonnull(settings);
}

static void teardown(void) {
    settings_free(settings);
    settings_free(NULL);
}

static void finish(void) {
    ck_assert_int_eq(settings_set_text(settings, &op, "bucket", "b"), OK);
    ck_assert_msg(settings_finish(settings, &op) == OK, "%s", op.fault.detail);
}

static void assert_refused(enum err err, const char *named) {
    ck_assert_int_eq(err, ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_CONFIG);
    ck_assert_msg(strstr(op.fault.detail, named) != NULL, "'%s' does not name %s", op.fault.detail, named);
}

START_TEST(defaults) {
    finish();
    ck_assert_str_eq(settings_text(settings, "bucket"), "b");
    ck_assert_ptr_null(settings_text(settings, "key"));
    ck_assert_uint_eq(settings_number(settings, "max_bytes"), UINT64_C(256) << 20);
    ck_assert_uint_eq(settings_number(settings, "most"), 0);
    ck_assert(!settings_flag(settings, "read_only"));
    ck_assert_str_eq(settings_text(settings, "style"), "path");
    ck_assert(settings_is_set(settings, "bucket"));
    ck_assert(!settings_is_set(settings, "max_bytes"));
    ck_assert(!settings_is_set(settings, "most"));
}
END_TEST

START_TEST(what_is_required_is_asked_for) {
    assert_refused(settings_finish(settings, &op), "bucket");
}
END_TEST

START_TEST(sizes) {
    static const struct {
        const char *text;
        uint64_t number;
    } rows[] = {
        {"4096", 4096},
        {"4KiB", 4096},
        {"5 MiB", UINT64_C(5) << 20},
        {"1GiB", UINT64_C(1) << 30},
        {"2TiB", UINT64_C(2) << 40},
        {"5kB", 5000},
        {"1MB", 1000000},
        {"1GB", 1000000000},
        {"4096B", 4096},
        {"1TB", UINT64_C(1000000000000)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_msg(settings_set_text(settings, &op, "max_bytes", rows[i].text) == OK, "%s", rows[i].text);
        ck_assert_uint_eq(settings_number(settings, "max_bytes"), rows[i].number);
    }
    ck_assert_int_eq(settings_set_number(settings, &op, "max_bytes", 5000), OK);
    ck_assert_uint_eq(settings_number(settings, "max_bytes"), 5000);
    static const char *const bad[] = {"",           "x",     "-1",    "+5000",
                                      " 5000",      "5000x", "4095",  "1.5GiB",
                                      "0x4000",     "5 000", "4 kib", "99999999999999999999",
                                      "99999999TiB"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_refused(settings_set_text(settings, &op, "max_bytes", bad[i]), "max_bytes");
    }
    assert_refused(settings_set_number(settings, &op, "max_bytes", -1), "max_bytes");
    assert_refused(settings_set_number(settings, &op, "max_bytes", 4095), "max_bytes");
    ck_assert_uint_eq(settings_number(settings, "max_bytes"), 5000); /* refusals change nothing */
}
END_TEST

START_TEST(bounds) {
    ck_assert_int_eq(settings_set_number(settings, &op, "most", 1), OK);
    ck_assert_int_eq(settings_set_number(settings, &op, "most", 10), OK);
    assert_refused(settings_set_number(settings, &op, "most", 0), "most");
    assert_refused(settings_set_number(settings, &op, "most", 11), "most");
    ck_assert_uint_eq(settings_number(settings, "most"), 10);
}
END_TEST

START_TEST(types) {
    assert_refused(settings_set_number(settings, &op, "bucket", 5), "bucket");
    assert_refused(settings_set_flag(settings, &op, "bucket", true), "bucket");
    assert_refused(settings_set_text(settings, &op, "most", "5"), "most");
    assert_refused(settings_set_flag(settings, &op, "most", true), "most");
    assert_refused(settings_set_text(settings, &op, "read_only", "true"), "read_only");
    assert_refused(settings_set_number(settings, &op, "read_only", 1), "read_only");
    assert_refused(settings_set_text(settings, &op, "style", "paths"), "style");
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "virtual"));
    ck_assert_int_eq(settings_set_flag(settings, &op, "read_only", true), OK);
    ck_assert(settings_flag(settings, "read_only"));
    ck_assert_int_eq(settings_set_text(settings, &op, "style", "virtual"), OK);
}
END_TEST

START_TEST(unknown_names) {
    assert_refused(settings_set_text(settings, &op, "buckets", "b"), "buckets");
    assert_refused(settings_set_number(settings, &op, "Bucket", 1), "Bucket");
    assert_refused(settings_set_flag(settings, &op, "", true), "max_bytes"); /* says what there is */
}
END_TEST

struct seen {
    char text[512];
};

static enum err see(void *context, const struct option *option, const char *text, uint64_t number,
                    bool flag) {
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s=%s/%" PRIu64 "/%d;", option->name, text, number,
             flag);
    return OK;
}

static enum err see_set(void *context, const struct option *option, const char *text, bool is_reference) {
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s=%s%s;", option->name, is_reference ? "->" : "",
             text);
    return OK;
}

static enum err fail_at_once(void *context, const struct option *option, const char *text,
                             bool is_reference) {
    (void)context;
    (void)is_reference;
    (void)option;
    (void)text;
    return ERR_BUSY;
}

START_TEST(secrets_are_stored_and_never_shown) {
    ck_assert_int_eq(settings_set_text(settings, &op, "key", "hush"), OK);
    ck_assert_int_eq(settings_set_number(settings, &op, "most", 3), OK);
    finish();
    struct seen shown = {0};
    ck_assert_int_eq(settings_each(settings, see, &shown), OK);
    ck_assert_str_eq(
        shown.text,
        "bucket=b/0/0;max_bytes=256MiB/268435456/0;most=3/3/0;read_only=false/0/0;style=path/0/0;");
    struct seen stored = {0};
    ck_assert_int_eq(settings_each_set(settings, see_set, &stored), OK);
    ck_assert_str_eq(stored.text, "bucket=b;key=hush;most=3;");
    ck_assert_int_eq(settings_each_set(settings, fail_at_once, NULL), ERR_BUSY);
}
END_TEST

START_TEST(a_later_value_replaces_an_earlier) {
    ck_assert_int_eq(settings_set_text(settings, &op, "key", "first"), OK);
    ck_assert_int_eq(settings_set_text(settings, &op, "key", "second"), OK);
    finish();
    ck_assert_str_eq(settings_text(settings, "key"), "second");
}
END_TEST

static const char *find_name(void *context, const char *name) {
    return strcmp(name, "KEY_1") == 0 ? context : NULL;
}

START_TEST(references_are_expanded_in_a_copy) {
    char value[] = "hush";
    const struct secret_names names = {.find = find_name, .context = value};
    ck_assert_int_eq(settings_set_reference(settings, &op, "key", "${KEY_1}"), OK);
    finish();
    struct seen stored = {0};
    ck_assert_int_eq(settings_each_set(settings, see_set, &stored), OK);
    ck_assert_str_eq(stored.text, "bucket=b;key=->${KEY_1};");
    struct settings *copy = NULL;
    ck_assert_int_eq(secret_names_expand(settings, &op, &names, REASON_INVALID_CONFIG, &copy), OK);
    ck_assert_str_eq(settings_text(copy, "key"), "hush");
    ck_assert_str_eq(settings_text(copy, "bucket"), "b");
    ck_assert_uint_eq(settings_number(copy, "max_bytes"), settings_number(settings, "max_bytes"));
    settings_free(copy);
    copy = NULL;
    /* A value in the name's place makes it a value again. */
    ck_assert_int_eq(settings_set_reference(settings, &op, "key", "${KEY_2}"), OK);
    ck_assert_int_eq(secret_names_expand(settings, &op, &names, REASON_NEEDS_CREDENTIALS, &copy), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "'key': ${KEY_2}"));
    ck_assert_ptr_null(copy);
    ck_assert_int_eq(settings_set_text(settings, &op, "key", "plain"), OK);
    ck_assert_str_eq(settings_text(settings, "key"), "plain");
    ck_assert_int_eq(settings_set_reference(settings, &op, "bucket", "${KEY_1}"), ERR_INVALID);
    ck_assert_int_eq(settings_set_reference(settings, &op, "other", "${KEY_1}"), ERR_INVALID);
}
END_TEST

START_TEST(a_refused_value_leaves_the_reference_as_it_was) {
    static char longer[8194];
    memset(longer, 'x', sizeof longer - 1);
    ck_assert_int_eq(settings_set_reference(settings, &op, "key", "${KEY_1}"), OK);
    assert_refused(settings_set_reference(settings, &op, "key", longer), "longer");
    assert_refused(settings_set_text(settings, &op, "key", longer), "longer");
    finish();
    struct seen stored = {0};
    ck_assert_int_eq(settings_each_set(settings, see_set, &stored), OK);
    ck_assert_str_eq(stored.text, "bucket=b;key=->${KEY_1};");
}
END_TEST

START_TEST(only_a_whole_name_is_a_reference) {
    static const char *const others[] = {"",      "$",     "${}",    "${A",      "$A",
                                         "a${A}", "${A}b", "${A-B}", "${A}${B}", "$${A}"};
    char name[SECRET_NAME_BYTES];
    ck_assert(secret_reference("${Ab_9}", name));
    ck_assert_str_eq(name, "Ab_9");
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        ck_assert_msg(!secret_reference(others[i], name), "%s", others[i]);
    }
    char longest[SECRET_NAME_BYTES + 4];
    snprintf(longest, sizeof longest, "${%0*d}", SECRET_NAME_BYTES - 1, 1);
    ck_assert(secret_reference(longest, name));
    snprintf(longest, sizeof longest, "${%0*d}", SECRET_NAME_BYTES, 1);
    ck_assert(!secret_reference(longest, name));
}
END_TEST

Suite *settings_suite(void) {
    Suite *suite = suite_create("settings");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, defaults);
    tcase_add_test(tcase, what_is_required_is_asked_for);
    tcase_add_test(tcase, sizes);
    tcase_add_test(tcase, bounds);
    tcase_add_test(tcase, types);
    tcase_add_test(tcase, unknown_names);
    tcase_add_test(tcase, secrets_are_stored_and_never_shown);
    tcase_add_test(tcase, a_later_value_replaces_an_earlier);
    tcase_add_test(tcase, references_are_expanded_in_a_copy);
    tcase_add_test(tcase, a_refused_value_leaves_the_reference_as_it_was);
    tcase_add_test(tcase, only_a_whole_name_is_a_reference);
    suite_add_tcase(suite, tcase);
    return suite;
}
