/* model.c - see model.h. */
#include "tests/crash/model.h"

#include "tests/crash/journaled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_name(size_t index, char ret_name[160]) {
    int tail = index % 5 == 0 ? 120 : (int)(index % 7);
    snprintf(
        ret_name, 160, "entry-%02zu%.*s", index, tail,
        "-a-long-name-fills-the-blocks-of-the-group-sooner-and-makes-them-split-and-merge-when-it-comes-and-"
        "goes-in-many-a-batch");
}

void model_fill(uint64_t seed, uint8_t *ret_bytes, size_t count) {
    struct chance chance = {seed};
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= count; at += sizeof(uint64_t)) {
        uint64_t word = chance_next(&chance);
        memcpy(ret_bytes + at, &word, sizeof word);
    }
    for (; at < count; at++) {
        ret_bytes[at] = (uint8_t)chance_next(&chance);
    }
}

struct comparing {
    const struct model *model;
    uint8_t *wanted;
    size_t seen;
    const char *what;
};

static void compare_entry(void *context, const char *name, const void *bytes, size_t count) {
    struct comparing *comparing = context;
    size_t index = 0;
    char wanted_name[160];
    for (; index < MODEL_NAMES; index++) {
        model_name(index, wanted_name);
        if (strcmp(name, wanted_name) == 0) {
            break;
        }
    }
    if (index == MODEL_NAMES) {
        comparing->what = "a name that nobody gave";
        return;
    }
    const struct model_entry *entry = &comparing->model->entries[index];
    comparing->seen++;
    if (!entry->present) {
        comparing->what = "an entry that should be absent";
        return;
    }
    model_fill(entry->seed, comparing->wanted, entry->bytes);
    if (count != entry->bytes || memcmp(bytes, comparing->wanted, count) != 0) {
        comparing->what = "an entry's bytes differ";
    }
}

/* A copy in memory that the library opens with a driver of its own. */
static hid_t open_copy(const struct disk_file *file) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t opened = H5I_INVALID_HID;
    uint8_t none = 0;
    if (H5Pset_fapl_core(access, 65536, false) >= 0 &&
        H5Pset_file_image(access, file->size ? file->bytes : &none, file->size) >= 0) {
        opened = H5Fopen("copy", H5F_ACC_RDONLY, access);
    }
    H5Pclose(access);
    return opened;
}

bool model_matches(const struct model *model, const struct disk_file *file, const char **ret_what) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t opened = open_copy(file);
    if (opened < 0) {
        *ret_what = "the file does not open";
        return false;
    }
    struct comparing comparing = {.model = model, .wanted = malloc(MODEL_BODY_MOST)};
    if (!entries_each(opened, compare_entry, &comparing)) {
        comparing.what = "an entry cannot be read";
    }
    size_t present = 0;
    for (size_t i = 0; i < MODEL_NAMES; i++) {
        present += model->entries[i].present;
    }
    if (!comparing.what && comparing.seen != present) {
        comparing.what = "an entry is missing";
    }
    free(comparing.wanted);
    H5Fclose(opened);
    *ret_what = comparing.what;
    return comparing.what == NULL;
}
