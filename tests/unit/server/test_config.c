/* test_config.c - what the daemon is told before it starts: arguments, addresses, secrets, the configuration file. */
#include "pools/base/hash.h"
#include "server/address.h"
#include "server/config.h"
#include "server/text_file.h"
#include "server/toml_tree.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- arguments ---- */

static bool parse(struct args *args, const char *first, const char *second) {
    char texts[3][40] = {"lailad"};
    snprintf(texts[1], sizeof texts[1], "%s", first);
    snprintf(texts[2], sizeof texts[2], "%s", second ? second : "");
    static char *argv[4]; /* what is parsed points into it */
    for (int i = 0; i < 3; i++) {
        free(argv[i]);
        argv[i] = strdup(texts[i]);
    }
    return args_parse(second ? 3 : 2, argv, args);
}

START_TEST(every_flag_has_its_place) {
    struct args args;
    ck_assert(parse(&args, "--config", "a.toml") && !args.secrets && !args.listen && !args.data_dir);
    ck_assert_str_eq(args.config, "a.toml");
    ck_assert(parse(&args, "--secrets=b.toml", NULL) && !args.config);
    ck_assert_str_eq(args.secrets, "b.toml");
    ck_assert(parse(&args, "--listen", "[::1]:0"));
    ck_assert_str_eq(args.listen, "[::1]:0");
    ck_assert(parse(&args, "--data-dir=a=b", NULL));
    ck_assert_str_eq(args.data_dir, "a=b");
    ck_assert(!args.insecure && !args.check_config && !args.version && !args.help);
    ck_assert(parse(&args, "--insecure", "--check-config"));
    ck_assert(args.insecure && args.check_config && !args.version && !args.help && !args.config);
    ck_assert(parse(&args, "--version", "--help"));
    ck_assert(!args.insecure && !args.check_config && args.version && args.help);
}
END_TEST

START_TEST(other_arguments_are_refused) {
    static const char *const rows[][2] = {
        {"--colour", NULL}, {"stray", NULL}, {"--config", NULL}, {"--config=", NULL},
        {"--config", ""},   {"-x", NULL},    {"--help=x", NULL}, {"--insecure=", NULL},
        {"--conf", "a"},    {"", NULL},      {"--", NULL},       {"--configs", "a"},
    };
    struct args args;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_msg(!parse(&args, rows[i][0], rows[i][1]), "%s", rows[i][0]);
    }
}
END_TEST

/* ---- addresses ---- */

/* Never the resolver: what was judged to be loopback must be what is bound. */
START_TEST(addresses_are_numeric_or_localhost) {
    static const struct {
        const char *text, *expected; /* NULL = refused */
        bool is_loopback;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080", true},
        {"127.8.9.1:0", "127.8.9.1:0", true},
        {"localhost:80", "127.0.0.1:80", true},
        {"[::1]:0", "[::1]:0", true},
        {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
        {"0.0.0.0:1", "0.0.0.0:1", false},
        {"[::]:65535", "[::]:65535", false},
        {"128.0.0.1:1", "128.0.0.1:1", false},
        {"ip6-localhost:80", NULL, false}, /* in /etc/hosts of Debian */
        {"localhost.localdomain:80", NULL, false},
        {"LOCALHOST:80", NULL, false}, /* which a resolver would find */
        {"example.org:80", NULL, false},
        {"::1:80", NULL, false},
        {"127.0.0.1", NULL, false},
        {":80", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1: 80", NULL, false},
        {"127.0.0.1:", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct listen_address address;
        enum err err = listen_address_parse(&op, rows[i].text, &address);
        ck_assert_msg(err == (rows[i].expected ? OK : ERR_INVALID), "%s", rows[i].text);
        if (!err) {
            char text[ADDRESS_TEXT_BYTES];
            listen_address_format(&address, text);
            ck_assert_str_eq(text, rows[i].expected);
            ck_assert_msg(listen_address_is_loopback(&address) == rows[i].is_loopback, "%s", text);
        }
    }
}
END_TEST

/* ---- names and the file ---- */

static char folder[] = "/tmp/lailad-config-XXXXXX";

static void write_file(const char *name, const char *text, char ret_path[64]) {
    snprintf(ret_path, 64, "%s/%s", folder, name);
    ck_assert_int_eq(text_file_write(ret_path, text), 0);
}

static struct config *load(const char *text, const char *secrets, struct complaint *complaint) {
    char config_path[64], secrets_path[64];
    write_file("c.toml", text, config_path);
    struct args args = {.config = config_path};
    if (secrets) {
        write_file("secrets.toml", secrets, secrets_path);
    }
    struct config *config = config_load(&args, complaint);
    unlink(config_path);
    if (secrets) {
        unlink(secrets_path);
    }
    return config;
}

START_TEST(names_are_expanded_once) {
    struct complaint complaint = {{0}};
    static const char secrets[] = "FLAT = \"one $x ${NOT}\"\nNUMBER = 7\nON = true\n[table]\nname = "
                                  "\"two\"\n[table.deep]\nx = \"no\"\n";
    struct config *config = load("chain = \"\"\n", secrets, &complaint);
    ck_assert_msg(config != NULL, "%s", complaint.text);
    static const struct {
        const char *text, *expanded;
        enum expand_result result;
    } rows[] = {
        {"", "", EXPAND_OK},
        {"plain", "plain", EXPAND_OK},
        {"<${FLAT}>", "<one $x ${NOT}>", EXPAND_OK},
        {"${table_name}${NUMBER}${ON}", "two7true", EXPAND_OK},
        {"$$ $${FLAT} $a a$", "$ ${FLAT} $a a$", EXPAND_OK},
        {"${MISSING_NAME_1}", NULL, EXPAND_UNDEFINED},
        {"${deep_x}", NULL, EXPAND_UNDEFINED},
        {"${FLAT", NULL, EXPAND_UNCLOSED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf buf;
        buf_init(&buf, 1000);
        char name[32] = "";
        ck_assert_int_eq(secrets_expand(config->secrets, rows[i].text, &buf, name, sizeof name),
                         rows[i].result);
        if (rows[i].expanded) {
            ck_assert_str_eq(buf.data, rows[i].expanded);
        }
        buf_fini(&buf);
    }
    config_free(config);
}
END_TEST

START_TEST(the_embedded_default_is_alpha_over_hdf5) {
    struct complaint complaint = {{0}};
    struct args args = {.data_dir = "/somewhere", .listen = "[::1]:0"};
    struct config *config = config_load(&args, &complaint);
    ck_assert_msg(config != NULL, "%s", complaint.text);
    ck_assert_str_eq(config->chain_text, "alpha << hdf5\n");
    ck_assert_uint_eq(config->pool_count, 2);
    ck_assert_str_eq(settings_text(config->params, "data_dir"), "/somewhere");
    ck_assert_str_eq(settings_text(config->params, "listen"), "[::1]:0");
    ck_assert_uint_eq(settings_number(config->params, "max_connections"), 1000);
    config_free(config);
}
END_TEST

START_TEST(rest_bodies_get_only_listed_names) {
    struct complaint complaint = {{0}};
    struct config *config = load("rest_secrets = [\"A\", \"C\"]\n", "A = \"a\"\nB = \"b\"\n", &complaint);
    ck_assert_msg(config != NULL, "%s", complaint.text);
    ck_assert_str_eq(config_expand_for_rest(config, "A"), "a");
    ck_assert_ptr_null(config_expand_for_rest(config, "B"));
    ck_assert_ptr_null(config_expand_for_rest(config, "C"));
    config_free(config);
}
END_TEST

START_TEST(a_refusal_names_file_line_and_key) {
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"\nallowed_hosts = \"x\"\n", "c.toml:2: allowed_hosts: "},
        {"rest_secrets = [\"a\",\n 5]\n", "c.toml:2: rest_secrets: "},
        {"listen = 1979-05-27\n", "c.toml:1: listen: "},
        {"\n\npoll_threads = 65\n", "c.toml:3: poll_threads: "},
        {"pipe_bytes = \"1KiB\"\n", "c.toml:1: pipe_bytes: "},
        {"data_dir = \"a\\u0000b\"\n", "c.toml:1: data_dir: "},
        {"[pools.a]\nkind = \"memory\"\nmax_bytes = [1]\n", "c.toml:3: [pools.a] max_bytes: "},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct complaint complaint = {{0}};
        ck_assert_ptr_null(load(rows[i].text, NULL, &complaint));
        ck_assert_msg(strstr(complaint.text, rows[i].expected) != NULL, "%s", complaint.text);
    }
}
END_TEST

/* A value may stand in a message only when its key is known to be no secret: a mistyped key may be one. */
START_TEST(a_refusal_repeats_no_secret) {
    static const struct {
        const char *text;
        bool repeats;
    } rows[] = {
        {"[pools.a]\nkind = \"s3\"\nsecret_acess_key = \"hunter2\"\n", false},
        {"[pools.a]\nkind = \"memory\"\ntoken = \"hunter2\"\n", false},
        {"[pools.a]\nkind = \"memory\"\nmax_bytes = \"hunter2\"\n", true},
        {"[pools.a]\nkind = \"memory\"\nmax_bytes = \"${NAME}\"\n", false},
        {"log_level = \"hunter2\"\n", true},
        {"log_level = \"${NAME}\"\n", false},
        {"tokne = \"hunter2\"\n", false},
        {"token = [\"hunter2\"]\n", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct complaint complaint = {{0}};
        ck_assert_ptr_null(load(rows[i].text, "NAME = \"hunter2\"\n", &complaint));
        ck_assert_msg((strstr(complaint.text, "hunter2") != NULL) == rows[i].repeats, "%s", complaint.text);
    }
}
END_TEST

/* ---- dots: each may be a level of the parser's recursion ---- */

/* The line with so many dots, and what stands around them. */
static struct config *load_dots(const char *before, size_t count, const char *after,
                                struct complaint *complaint) {
    char dotted[1201] = "";
    for (size_t i = 0; i < count; i++) {
        memcpy(dotted + 2 * i, "a.", 3);
    }
    char text[1400];
    snprintf(text, sizeof text, "%s%s%s", before, dotted, after);
    return load(text, "A = \"a.b.c\" # a.b.c\n", complaint);
}

START_TEST(dots_in_strings_and_comments_do_not_count) {
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"#", "\n"},
        {"rest_secrets = [\"", "\"]\n"},
        {"rest_secrets = ['", "']\n"},
        {"rest_secrets = [\"\\\\\", \"\\\"", "\"] # \"\n"},
        {"rest_secrets = [\"\"\"\n# \"\" ' \\\"\"\" ", "\"\"\"\"\"]\n"},
        {"rest_secrets = ['''\n# '' \" ", "\''''']\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct complaint complaint = {{0}};
        struct config *config = load_dots(rows[i].before, 600, rows[i].after, &complaint);
        ck_assert_msg(config != NULL, "%s: %s", rows[i].before, complaint.text);
        config_free(config);
    }
}
END_TEST

START_TEST(dots_in_secrets_do_not_count) {
    char secrets[700] = "A = \"";
    char *next = secrets + strlen(secrets);
    memset(next, '.', 300);
    memcpy(next + 300, "\" #", 3);
    memset(next + 303, '.', 300);
    struct complaint complaint = {{0}};
    struct config *config = load("rest_secrets = [\"A\"]\n", secrets, &complaint);
    ck_assert_msg(config != NULL, "%s", complaint.text);
    ck_assert_uint_eq(strlen(config_expand_for_rest(config, "A")), 300);
    config_free(config);
}
END_TEST

/* No string may look longer to us than it is to the parser. */
START_TEST(dots_of_keys_count_wherever_they_stand) {
    static const struct {
        const char *before;
        unsigned line;
    } rows[] = {
        {"", 1},
        {"[", 1},
        {"# \"\n", 2},
        {"x = { y = \"\\\\\", ", 1},
        {"x = { y = \"#\\\"\", ", 1},
        {"x = { y = '#\\', ", 1},
        {"x = { \"\" = \"\", ", 1},
        {"x = '\n", 2},
        {"x = \"\\\n", 2},
        {"x = [ \"\"\"\n# \"\"\\\"\"\"\"\"\", { ", 2},
        {"x = [ '''\n# '\\''''', { ", 2},
        {"x = [ \"\"\"\"\"\", '''''', { ", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char place[40];
        snprintf(place, sizeof place, "c.toml:%u: expected at most 256 dots", rows[i].line);
        struct complaint complaint = {{0}};
        ck_assert_ptr_null(load_dots(rows[i].before, 257, "a = 1\n", &complaint));
        ck_assert_msg(strstr(complaint.text, place) != NULL, "%s: %s", rows[i].before, complaint.text);
        struct complaint other = {{0}};
        ck_assert_ptr_null(load_dots(rows[i].before, 256, "a = 1\n", &other));
        ck_assert_msg(strstr(other.text, "dots") == NULL, "%s: %s", rows[i].before, other.text);
    }
}
END_TEST

/* The most levels that pass: a table's name, and below it as many keys as values may nest, each on a line of its own. */
START_TEST(the_deepest_file_that_passes_fits_the_stack) {
    struct buf text;
    buf_init(&text, 100000);
    for (int value = 0; value < 8; value++) {
        ck_assert_int_eq(buf_append_text(&text, value > 1 ? "{ " : value == 1 ? "" : "["), OK);
        for (int dot = 0; dot < 256; dot++) {
            ck_assert_int_eq(buf_append_text(&text, "a."), OK);
        }
        ck_assert_int_eq(buf_append_text(&text, value ? "a = [\n" : "a]\n"), OK);
    }
    for (int value = 1; value < 8; value++) {
        ck_assert_int_eq(buf_append_text(&text, value < 7 ? "] }" : "]\n"), OK);
    }
    struct toml_error error;
    struct toml_node *root = toml_parse(text.data, text.size, &error);
    ck_assert_msg(root != NULL, "line %u: %s", error.line, error.text);
    toml_free(root);
    buf_fini(&text);
}
END_TEST

int main(void) {
    hash_setup();
    if (!mkdtemp(folder)) {
        return 1;
    }
    Suite *suite = suite_create("configuration");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_flag_has_its_place);
    tcase_add_test(tests, other_arguments_are_refused);
    tcase_add_test(tests, addresses_are_numeric_or_localhost);
    tcase_add_test(tests, names_are_expanded_once);
    tcase_add_test(tests, the_embedded_default_is_alpha_over_hdf5);
    tcase_add_test(tests, rest_bodies_get_only_listed_names);
    tcase_add_test(tests, a_refusal_names_file_line_and_key);
    tcase_add_test(tests, dots_in_strings_and_comments_do_not_count);
    tcase_add_test(tests, dots_in_secrets_do_not_count);
    tcase_add_test(tests, dots_of_keys_count_wherever_they_stand);
    tcase_add_test(tests, the_deepest_file_that_passes_fits_the_stack);
    tcase_add_test(tests, a_refusal_repeats_no_secret);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    rmdir(folder);
    return failed != 0;
}
