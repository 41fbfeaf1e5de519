/* powerloss.c - the power goes at any moment: the file is exactly what the last commit made it, or the one that was under way.
 *
 * A *round* runs a random workload on a lossy disk, then tries many *states*: the disk as a power cut at a random operation leaves it.
 * Each is recovered as an opening would, some are cut again in the middle of that, and plain HDF5 reads every entry.
 * The next round goes on with what one of the states was recovered to.
 *
 *   CRASH_SEED    another life (default 1)
 *   CRASH_STATES  how many states (default 100)
 *   CRASH_STATE   only this one, with all that led to it: how a failure is played again
 *   CRASH_MISTAKE this planted mistake only, by its place in mistakes.c
 *
 * The same trials must find mistakes that are planted: in the disk, by functions that the linker puts in another's place, in the
 * order of the workload. A simulator that does not find them proves nothing.
 */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "tests/crash/journaled.h"
#include "tests/crash/mistakes.h"
#include "tests/crash/workload.h"

#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATES_IN_A_ROUND 50
#define ROUNDS_IN_A_LIFE 12
#define CUTS_OF_RECOVERIES_MOST 3
#define PLANTED_STATES_MOST 1000

struct trials {
    uint64_t seed;
    uint64_t states;
    uint64_t only; /* UINT64_MAX = all */
    uint64_t done;
    uint64_t cut_again; /* recoveries that were cut, too */
    uint64_t in_flight; /* how many showed the commit that was under way */
    char what[256];     /* the first thing that went wrong */
};

static uint64_t number_from(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- one state ---- */

struct allowed {
    const struct model *acknowledged;
    const struct model *under_way; /* NULL = none */
    bool may_be_nothing;
};

static struct allowed allowed_at(const struct workload *workload, const struct lossy_disk *disk, size_t at) {
    struct allowed allowed = {&workload->states[0], NULL, workload->began_empty};
    for (size_t i = 0; i < at; i++) {
        const struct disk_op *op = &disk->ops[i];
        if (op->kind != DISK_MARK) {
            continue;
        }
        if (op->mark == MARK_COMMITTING) {
            allowed.under_way = &workload->states[op->offset];
            continue;
        }
        allowed.acknowledged = &workload->states[op->offset];
        allowed.under_way = NULL;
        allowed.may_be_nothing = false;
    }
    return allowed;
}

/* Any operation, half of the time the sync that follows it: there most is pending. */
static size_t choose_moment(const struct lossy_disk *disk, struct chance *chance) {
    size_t at = chance_below(chance, disk->op_count + 1);
    if (chance_percent(chance, 50)) {
        while (at < disk->op_count && disk->ops[at].kind != DISK_SYNC) {
            at++;
        }
    }
    return at;
}

/* Recovers, cut short first as often as chance has it. The image becomes the recovered one. */
static bool recover(struct trials *trials, struct disk_image *image, struct chance *chance,
                    const char **ret_what) {
    unsigned cuts =
        chance_percent(chance, 40) ? 1 + (unsigned)chance_below(chance, CUTS_OF_RECOVERIES_MOST) : 0;
    for (;;) {
        struct lossy_disk disk;
        disk_open(&disk, image);
        mistakes_in_recovery(&disk);
        struct op op;
        op_init(&op, 0, 0);
        struct shadow *shadow = NULL;
        enum err err = shadow_open(&op, &disk.medium, &shadow);
        if (!err) {
            err = shadow_close(&op, shadow);
        }
        bool again = cuts > 0 && disk.op_count > 0;
        image_free(image);
        if (again) {
            cuts--;
            trials->cut_again++;
            disk_cut(&disk, choose_moment(&disk, chance), chance, image);
        } else {
            image_copy(&disk.now, image);
        }
        disk_free(&disk);
        if (err) {
            *ret_what = "recovery failed";
            return false;
        }
        if (!again) {
            *ret_what = image->has_journal ? "the journal is still there" : NULL;
            return !image->has_journal;
        }
    }
}

/* *ret_model is what it turned out to be. */
static bool judge(struct trials *trials, const struct disk_image *image, const struct allowed *allowed,
                  struct model *ret_model, const char **ret_what) {
    if (allowed->may_be_nothing && image->main.size == 0) {
        *ret_model = *allowed->acknowledged;
        return true;
    }
    if (model_matches(allowed->acknowledged, &image->main, ret_what)) {
        *ret_model = *allowed->acknowledged;
        return true;
    }
    const char *other = NULL;
    if (allowed->under_way && model_matches(allowed->under_way, &image->main, &other)) {
        *ret_model = *allowed->under_way;
        trials->in_flight++;
        return true;
    }
    return false;
}

/* ---- rounds ---- */

struct life {
    struct disk_image image;
    struct model model;
};

static bool try_state(struct trials *trials, const struct workload *workload, const struct lossy_disk *disk,
                      uint64_t number, struct life *ret_life) {
    struct chance chance = chance_of(trials->seed, number + 1);
    size_t at = choose_moment(disk, &chance);
    struct allowed allowed = allowed_at(workload, disk, at);
    disk_cut(disk, at, &chance, &ret_life->image);
    const char *what = NULL;
    bool good = recover(trials, &ret_life->image, &chance, &what) &&
                judge(trials, &ret_life->image, &allowed, &ret_life->model, &what);
    if (!good) {
        snprintf(trials->what, sizeof trials->what,
                 "state %llu (operation %zu of %zu): %s; again: CRASH_SEED=%llu CRASH_STATE=%llu",
                 (unsigned long long)number, at, disk->op_count, what, (unsigned long long)trials->seed,
                 (unsigned long long)number);
    }
    trials->done++;
    return good;
}

/* False at the first state that is wrong. */
static bool run_round(struct trials *trials, struct life *life, const struct workload_mistakes *planted) {
    uint64_t first = trials->done;
    struct chance chance = chance_of(trials->seed ^ UINT64_C(0x5EED), first);
    struct lossy_disk disk;
    disk_open(&disk, &life->image);
    mistakes_in_workload(&disk);
    struct workload workload;
    workload_run(&workload, &disk, &life->model, chance_next(&chance), planted);
    uint64_t goes_on = chance_below(&chance, STATES_IN_A_ROUND);
    bool good = true;
    for (uint64_t i = 0; good && i < STATES_IN_A_ROUND; i++) {
        uint64_t number = first + i;
        if (trials->only != UINT64_MAX && number != trials->only && i != goes_on) {
            trials->done++;
            continue;
        }
        struct life found = {0};
        good = try_state(trials, &workload, &disk, number, &found);
        if (i == goes_on) {
            image_free(&life->image);
            *life = found;
        } else {
            image_free(&found.image);
        }
    }
    disk_free(&disk);
    workload_free(&workload);
    return good;
}

static bool run_trials(struct trials *trials, const struct workload_mistakes *planted) {
    struct life life = {0};
    bool good = true;
    for (unsigned round = 0; good && trials->done < trials->states; round++) {
        if (round % ROUNDS_IN_A_LIFE == 0) {
            image_free(&life.image);
            life = (struct life){0};
        }
        good = run_round(trials, &life, planted);
    }
    image_free(&life.image);
    return good;
}

/* ---- the tests ---- */

START_TEST(no_cut_loses_or_changes_anything) {
    struct trials trials = {
        .seed = number_from("CRASH_SEED", 1),
        .states = number_from("CRASH_STATES", 100),
        .only = number_from("CRASH_STATE", UINT64_MAX),
    };
    if (trials.only != UINT64_MAX) {
        trials.states = trials.only + 1;
    }
    struct workload_mistakes none = {0};
    bool good = run_trials(&trials, &none);
    printf("power loss: %llu states, %llu recoveries cut again, %llu showed the commit under way\n",
           (unsigned long long)trials.done, (unsigned long long)trials.cut_again,
           (unsigned long long)trials.in_flight);
    ck_assert_msg(good, "%s", trials.what);
}
END_TEST

/* In a process of its own, which ends without ceremony: the library leaks, and may crash, on files that are damaged. What it found is in
 * memory that both see. */
static bool find_planted(const struct mistake *mistake, struct trials *shared) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        mistakes_plant(mistake);
        _exit(run_trials(shared, &mistake->workload) ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        snprintf(shared->what, sizeof shared->what, "the process did not survive the file");
    }
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

START_TEST(planted_mistakes_are_found) {
    const struct mistake *mistake = &mistakes[_i];
    if (number_from("CRASH_MISTAKE", (uint64_t)_i) != (uint64_t)_i) {
        return;
    }
    struct trials *trials =
        mmap(NULL, sizeof *trials, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(trials != MAP_FAILED);
    trials->seed = number_from("CRASH_SEED", mistake->seed);
    trials->states = PLANTED_STATES_MOST;
    trials->only = UINT64_MAX;
    bool found = find_planted(mistake, trials);
    ck_assert_msg(found, "%s: not found in %llu states", mistake->name, (unsigned long long)trials->done);
    printf("planted: %s: %llu states: %s\n", mistake->name, (unsigned long long)trials->done, trials->what);
    munmap(trials, sizeof *trials);
}
END_TEST

int main(void) {
    hash_setup();
    mallopt(M_MMAP_THRESHOLD, 1 << 30); /* files come and go all the time: keep their pages */
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    Suite *suite = suite_create("power loss");
    TCase *tcase = tcase_create("trials");
    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, no_cut_loses_or_changes_anything);
    suite_add_tcase(suite, tcase);
    TCase *planted = tcase_create("planted");
    tcase_set_timeout(planted, 3600);
    tcase_add_loop_test(planted, planted_mistakes_are_found, 0, (int)mistake_count);
    suite_add_tcase(suite, planted);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
