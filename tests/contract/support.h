/* support.h - the vocabulary of the contract cases: bodies whose bytes tell what they are, put, get, and what must hold.
 *
 * Everything goes through the front door (pool.h). Functions named assert_* and those that return nothing fail the test
 * and belong to the test's own thread; try_* and the rest return what happened and may be used by any thread.
 */
#ifndef TESTS_CONTRACT_SUPPORT_H
#define TESTS_CONTRACT_SUPPORT_H

#include "tests/contract/subject.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the pool of the running test: fresh and empty ---- */
void fixture_setup(void);
void fixture_teardown(void);
struct pool *the_pool(void);
const struct place *the_place(void);
/* Closes it and opens it again in the same place, with other options. */
void reopen_with(const struct setting *settings, size_t count);

/* A fresh op of the calling thread with a minute's time. */
struct op *fresh_op(void);
struct id id_of(const char *text);

/* ---- bodies ---- */
struct body {
    uint8_t *bytes;
    size_t count;
};
/* Bytes that follow from (count, seed): any piece of another body in it shows. */
struct body body_make(size_t count, uint64_t seed);
struct body body_text(const char *text);
void body_free(struct body *body);
/* Whether all of the body was made with one seed (of those below `seeds`). */
bool body_is_whole(const struct body *body, uint64_t seeds);
bool body_equal(const struct body *a, const struct body *b);

/* ---- writing ---- */
struct how {
    const struct condition *condition;
    const struct fence *fence;
    const struct meta *meta; /* NULL = as meta_init makes it */
    bool unknown_size;
    bool as_entry; /* by pool_put_entry */
    size_t piece;  /* bytes per write; 0 = all at once */
    bool *ret_created;
};
enum err try_put(struct op *op, const char *id, const struct body *body, const struct how *how);
void put(const char *id, const struct body *body);
void put_text(const char *id, const char *text);
void put_how(const char *id, const struct body *body, const struct how *how);
void assert_put_fails(const char *id, const struct body *body, const struct how *how, enum err expected);

/* A fill as the chain does one: fence up, body in. */
struct fill {
    struct fence fence;
    char id[ID_MOST_BYTES + 1];
    struct body body;
};
void fill_begin(struct fill *ret_fill, const char *id, const char *text);
/* Commits through a writer or as an entry, lowers the fence; what the commit said. */
enum err fill_end(struct fill *fill, bool as_entry);
/* Both, and it must work. */
void fill_text(const char *id, const char *text);

/* ---- reading ---- */
struct got {
    enum err err;
    struct meta meta;
    struct body body;
};
struct got get(struct op *op, const char *id);
struct got get_range(struct op *op, const char *id, uint64_t offset, uint64_t length);
void got_free(struct got *got);
enum err read_all(struct op *op, struct reader *reader, size_t piece, struct body *ret_body);

void assert_holds(const char *id, const struct body *body);
void assert_holds_text(const char *id, const char *text);
void assert_absent(const char *id);
void assert_hold(const char *id, enum hold hold);
/* Removes and says whether it existed. */
bool remove_id(const char *id);
struct meta stat_of(const char *id); /* the caller calls meta_fini */

/* ---- listing ---- */
/* All pages of `limit`, in one sorted array of names. */
struct names {
    char **names;
    size_t count;
    size_t pages;
};
enum err try_list(struct op *op, const char *prefix, unsigned limit, struct names *ret_names);
struct names list(const char *prefix, unsigned limit);
void names_free(struct names *names);
size_t names_count(const struct names *names, const char *name);

#define ck_assert_err(expression, expected)                                                                  \
    do {                                                                                                     \
        enum err got_err = (expression);                                                                     \
        ck_assert_msg(got_err == (expected), "%s gave '%s', expected '%s'", #expression, err_word(got_err),  \
                      err_word(expected));                                                                   \
    } while (0)

/* ---- the cases ---- */
TCase *cases_bodies(void);
TCase *cases_fills(void);
TCase *cases_ids(void);
TCase *cases_limits(void);
TCase *cases_list(void);
TCase *cases_reads(void);
TCase *cases_threads(void);
TCase *cases_upkeep(void);
TCase *cases_writes(void);

#endif
