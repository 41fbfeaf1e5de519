/* hdf5_command.c - see hdf5_command.h. What was found goes to standard output, why something failed to standard error. */
#include "server/hdf5_command.h"

#include "pools/hdf5_tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_WELL = 0, EXIT_NOT_WELL = 1, EXIT_USAGE = 2 };

struct wish {
    const char *file;
    const char *out; /* NULL = none */
    bool adopt, accept_loss;
};

struct command {
    const char *name;
    const char *arguments;
    const char *sentence;
    int (*run)(const struct wish *wish);
    bool takes_out, recovers;
};

static int fail(const char *doing, const struct op *op) {
    fprintf(stderr, "lailad: hdf5 %s: %s\n", doing, op->fault.detail);
    return EXIT_NOT_WELL;
}

static void print_journal(const struct hdf5_journal *journal) {
    if (!journal->present) {
        printf("journal: none%s\n",
               journal->missing ? ", and there was to be one: what was written last may be lost" : "");
    } else {
        printf("journal: %" PRIu64 " commits, %" PRIu64 " bytes%s%s\n", journal->commits, journal->bytes,
               journal->commits && !journal->belongs ? ", of another file" : "",
               journal->damaged ? ", damaged or cut off" : "");
        if (journal->lost) {
            printf("lost: %" PRIu64 " commits or more behind those\n", journal->lost);
        }
    }
}

/* ---- check ---- */
static bool print_report(const struct hdf5_report *report) {
    const struct upkeep_status *scrub = &report->scrub;
    bool sound = !scrub->corrupt && !scrub->dropped && !scrub->unreadable && !report->journal.damaged &&
                 !report->journal.missing;
    print_journal(&report->journal);
    printf("entries: %" PRIu64 ", %" PRIu64 " of them without a digest of what is there now\n",
           report->entries, scrub->learned);
    printf("foreign objects: %" PRIu64 "\n", report->foreign);
    printf("size: %" PRIu64 " bytes, %" PRIu64 " of them bodies\n", report->file_bytes, report->live_bytes);
    printf("damaged: %" PRIu64 "\n", scrub->corrupt);
    for (unsigned i = 0; i < scrub->corrupt_id_count; i++) {
        printf("  %s\n", scrub->corrupt_ids[i]);
    }
    printf("unreadable: %" PRIu64 "\n%s\n", scrub->unreadable, sound ? "sound" : "not sound");
    return sound;
}

static int run_check(const struct wish *wish) {
    struct op op;
    op_init(&op, 0, 0);
    AUTO(hdf5_report_fini) struct hdf5_report report = {0};
    enum err err = hdf5_tool_check(&op, wish->file, &report);
    if (err && report.journal.present) {
        print_journal(&report.journal);
    }
    if (err) {
        return fail("check", &op);
    }
    return print_report(&report) ? EXIT_WELL : EXIT_NOT_WELL;
}

/* ---- the others ---- */
static int run_recover(const struct wish *wish) {
    struct op op;
    op_init(&op, 0, 0);
    struct hdf5_journal journal = {0};
    enum err err = hdf5_tool_recover(&op, wish->file, wish->adopt, wish->accept_loss, &journal);
    if (journal.present) {
        print_journal(&journal);
    }
    if (err) {
        return fail("recover", &op);
    }
    if (journal.damaged) {
        fprintf(stderr,
                "lailad: hdf5 recover: the journal was damaged or cut off, and commits may be missing: the "
                "file is as after the last one "
                "that could be read, and the journal is kept as %s-journal.rejected (with a number behind it "
                "if there was one)\n",
                wish->file);
        return EXIT_NOT_WELL;
    }
    printf("%s\n", journal.commits   ? "recovered: the file is as after its last commit"
                   : journal.present ? "nothing to recover: the journal was empty and is gone"
                                     : "nothing to recover: there is no journal");
    return EXIT_WELL;
}

static int run_compact(const struct wish *wish) {
    struct op op;
    op_init(&op, 0, 0);
    AUTO(upkeep_status_fini) struct upkeep_status status = {0};
    enum err err = hdf5_tool_compact(&op, wish->file, &status);
    if (err) {
        return fail("compact", &op);
    }
    printf("compacted: %" PRIu64 " entries, from %" PRIu64 " to %" PRIu64 " bytes\n", status.entries_done,
           status.bytes_before, status.bytes_after);
    return EXIT_WELL;
}

static int run_export(const struct wish *wish) {
    struct op op;
    op_init(&op, 0, 0);
    uint64_t entries = 0;
    enum err err = hdf5_tool_export(&op, wish->file, wish->out, &entries);
    if (err) {
        return fail("export", &op);
    }
    printf("exported: %" PRIu64 " entries\n", entries);
    return EXIT_WELL;
}

/* ---- arguments ---- */
static const struct command commands[] = {
    {.name = "check",
     .arguments = "FILE",
     .sentence = "compare every entry with its digest; changes nothing",
     .run = run_check},
    {.name = "recover",
     .arguments = "FILE [--adopt] [--accept-loss]",
     .sentence = "bring the journal of a crash into the file; --adopt: the file is a copy of the one it "
                 "belongs to; --accept-loss: the journal is damaged, and what is whole of it shall do; it "
                 "is kept as FILE-journal.rejected",
     .run = run_recover,
     .recovers = true},
    {.name = "compact", .arguments = "FILE", .sentence = "make the file small again", .run = run_compact},
    {.name = "export",
     .arguments = "FILE OUT",
     .sentence = "a plain file of all entries, where none is yet",
     .run = run_export,
     .takes_out = true},
};

void hdf5_command_print_help(void) {
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        char left[64];
        snprintf(left, sizeof left, "lailad hdf5 %s %s", commands[i].name, commands[i].arguments);
        printf("  %-38s %s\n", left, commands[i].sentence);
    }
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static bool read_wish(const struct command *command, int argc, char **argv, struct wish *ret_wish) {
    const char **const places[] = {&ret_wish->file, &ret_wish->out};
    size_t count = command->takes_out ? 2 : 1;
    size_t found = 0;
    for (int i = 0; i < argc; i++) {
        if (command->recovers && strcmp(argv[i], "--adopt") == 0) {
            ret_wish->adopt = true;
            continue;
        }
        if (command->recovers && strcmp(argv[i], "--accept-loss") == 0) {
            ret_wish->accept_loss = true;
            continue;
        }
        if (argv[i][0] == '-' || !argv[i][0] || found == count) {
            return false;
        }
        *places[found++] = argv[i];
    }
    return found == count;
}

int hdf5_command(int argc, char **argv) {
    const struct command *command = argc > 0 ? find_command(argv[0]) : NULL;
    struct wish wish = {0};
    if (!command || !read_wish(command, argc - 1, argv + 1, &wish)) {
        fprintf(stderr, "lailad: usage of hdf5: %s %s (lailad --help lists the commands)\n",
                command ? command->name : "check|recover|compact|export",
                command ? command->arguments : "FILE");
        return EXIT_USAGE;
    }
    return command->run(&wish);
}
