/* convert.c - a file that must not be written in place goes on as a copy. Runs on the store's thread only. See store.h.
 *
 * Old symbol-table roots rewrite megabytes per flush, free space that is kept in the file crashes the library after an
 * unclean end, and user blocks shift every address. The first write copies such a file: everything below the root and
 * the root's attributes go to .<name>.lailad-convert beside it, that is synced, the original gets a second name
 * <path>.original, and the copy takes the path. A crash at any point leaves the original under one of the two names.
 *
 * The copy's name is one that no pool may have (hdf5_pool.c), and nothing is emptied or unlinked whose lock we do not hold.
 * Reads under way finish in the original, whose file stays open for them.
 */
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/link_name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ORIGINALS 100

struct pair {
    struct record *record;
    struct facts facts; /* in the copy */
    bool is_entry;      /* there */
};

struct conversion {
    struct store *store;
    struct op *op;
    struct h5_file *copy;
    struct pair *pairs;
    size_t count;
    enum err err;
};

/* ---- the copy ---- */
static herr_t copy_link(hid_t root, const char *name, const H5L_info_t *info, void *context) {
    const struct conversion *conversion = context;
    hid_t copy = conversion->copy->root;
    hid_t list = conversion->store->link_list;
    return info->type == H5L_TYPE_HARD ? H5Ocopy(root, name, copy, name, H5P_DEFAULT, list)
                                       : H5Lcopy(root, name, copy, name, list, H5P_DEFAULT);
}

static herr_t copy_attribute(hid_t root, const char *name, const H5A_info_t *info, void *context) {
    (void)info;
    const struct conversion *conversion = context;
    if (H5Aexists(conversion->copy->root, name) > 0) {
        return 0; /* the mark, which the copy has of its own */
    }
    AUTO(h5_close) hid_t from = H5Aopen(root, name, H5P_DEFAULT);
    AUTO(h5_close) hid_t type = from < 0 ? H5I_INVALID_HID : H5Aget_type(from);
    AUTO(h5_close) hid_t space = from < 0 ? H5I_INVALID_HID : H5Aget_space(from);
    if (type < 0 || space < 0) {
        return -1;
    }
    hid_t root_of_copy = conversion->copy->root;
    AUTO(h5_close) hid_t to = H5Acreate2(root_of_copy, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    hssize_t points = H5Sget_simple_extent_npoints(space);
    size_t bytes = H5Tget_size(type) * (size_t)(points > 0 ? points : 0);
    void *value = calloc(1, bytes + 1);
    herr_t result =
        to < 0 || !value || H5Aread(from, type, value) < 0 || H5Awrite(to, type, value) < 0 ? -1 : 0;
    if (result == 0) {
        result = H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
    }
    free(value);
    return result;
}

static enum err copy_everything(struct conversion *conversion) {
    hid_t root = conversion->store->file->root;
    hsize_t at = 0;
    if (H5Literate(root, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_link, conversion) < 0 ||
        H5Aiterate2(root, H5_INDEX_NAME, H5_ITER_INC, &at, copy_attribute, conversion) < 0) {
        return h5_fail(conversion->op, "copy the file");
    }
    return h5_file_commit(conversion->copy, conversion->op);
}

/* ---- where everything is now ---- */
static void find_in_copy(struct map_node *node, void *context) {
    struct conversion *conversion = context;
    struct record *record = CONTAINER_OF(node, struct record, node);
    if (conversion->err) {
        return;
    }
    char name[LINK_NAME_BYTES];
    H5L_info_t info;
    record_link_name(record, name);
    struct pair *pair = &conversion->pairs[conversion->count];
    *pair = (struct pair){.record = record};
    if (H5Lget_info(conversion->copy->root, name, &info, H5P_DEFAULT) < 0) {
        conversion->err = h5_fail(conversion->op, "find an entry in the copy");
        return;
    }
    struct description description;
    conversion->err = dataset_describe(conversion->copy, conversion->op, info.u.address, &description);
    if (conversion->err) {
        return;
    }
    pair->is_entry = description.is_entry;
    pair->facts = (struct facts){.placement = description.placement,
                                 .hold = description.meta.hold,
                                 .has_sha256 = description.meta.has_sha256};
    description_fini(&description);
    conversion->count++;
}

static enum err find_all(struct conversion *conversion) {
    struct index *index = &conversion->store->index;
    conversion->pairs = calloc(index->map.count + 1, sizeof *conversion->pairs);
    if (!conversion->pairs) {
        return op_no_memory(conversion->op);
    }
    map_each(&index->map, find_in_copy, conversion);
    return conversion->err;
}

/* ---- the names ---- */
static enum err keep_original(struct op *op, const char *path, char kept[PATH_MAX]) {
    for (int i = 0; i < MOST_ORIGINALS; i++) {
        char number[8] = "";
        if (i) {
            snprintf(number, sizeof number, ".%d", i);
        }
        int length = snprintf(kept, PATH_MAX, "%s.original%s", path, number);
        if (length < 0 || length >= PATH_MAX) {
            return op_fail_errno(op, ENAMETOOLONG, "keeping the original file");
        }
        if (link(path, kept) == 0) {
            return OK;
        }
        if (errno != EEXIST) {
            return op_fail_errno(op, errno, "keeping the original file");
        }
    }
    return op_fail_errno(op, EEXIST, "keeping the original file");
}

/* The names are changed already; should this fail, a crash may bring the original back under its old name. */
static void sync_directory(const char *path) {
    char directory[PATH_MAX];
    const char *name = strrchr(path, '/'); /* paths of stores are absolute */
    int length = snprintf(directory, sizeof directory, "%.*s", (int)(name - path + 1), path);
    bool whole = length > 0 && (size_t)length < sizeof directory;
    int fd = whole ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0 || fsync(fd) != 0) {
        log_line(LOG_WARNING, "hdf5", "the directory of a converted file could not be synced");
    }
    if (fd >= 0) {
        close(fd);
    }
}

static enum err take_path(struct op *op, const char *copy_path, const char *path) {
    char kept[PATH_MAX];
    enum err err = keep_original(op, path, kept);
    if (err) {
        return err;
    }
    if (rename(copy_path, path) != 0) {
        err = op_fail_errno(op, errno, "putting the copy in place");
        (void)unlink(kept); /* only a second name */
        return err;
    }
    sync_directory(path);
    return OK;
}

static enum err make_copy(struct conversion *conversion, const char *copy_path) {
    struct h5_file_options options = {
        .create = true, .replace = true, .copy = true}; /* a crash may have left one */
    enum err err = h5_file_open(conversion->op, copy_path, &options, &conversion->copy);
    if (!err) {
        err = copy_everything(conversion);
    }
    if (!err) {
        conversion->copy->alone = conversion->store->file->alone;
        err = find_all(conversion);
    }
    if (!err) {
        err = h5_file_settle_copy(conversion->copy, conversion->op, conversion->store->path);
    }
    return err ? err : take_path(conversion->op, copy_path, conversion->store->path);
}

static void go_on_in_copy(struct conversion *conversion) {
    struct store *store = conversion->store;
    index_set_file(&store->index, NULL);
    for (size_t i = 0; i < conversion->count; i++) {
        const struct pair *pair = &conversion->pairs[i];
        index_move(&store->index, pair->record, pair->is_entry ? &pair->facts : NULL);
    }
    struct h5_file *original = store->file;
    store->file = conversion->copy;
    index_set_file(&store->index, store->file);
    conversion->copy = original; /* let go with the conversion */
}

static enum err convert(struct store *store, struct op *op) {
    char copy_path[PATH_MAX];
    const char *name = strrchr(store->path, '/') + 1; /* paths of stores are absolute */
    int length = snprintf(copy_path, sizeof copy_path, "%.*s.%s" STORE_CONVERT_SUFFIX,
                          (int)(name - store->path), store->path, name);
    if (length < 0 || (size_t)length >= sizeof copy_path) {
        return op_fail_errno(op, ENAMETOOLONG, "converting the file");
    }
    struct conversion conversion = {.store = store, .op = op};
    enum err err = make_copy(&conversion, copy_path);
    if (!err) {
        go_on_in_copy(&conversion);
    } else if (conversion.copy) {
        (void)unlink(copy_path); /* ours, and still locked; should it stay, the next conversion empties it */
    }
    free(conversion.pairs);
    h5_file_unref(conversion.copy);
    return err;
}

enum err store_convert(struct store *store, struct op *op) {
    if (clock_now_ns() < store->convert_again_ns) {
        return op_adopt(op, &store->convert_fault);
    }
    enum err err = convert(store, op);
    if (err) {
        store->convert_fault = op->fault;
        store->convert_again_ns = clock_now_ns() + STORE_CONVERT_PAUSE_NS;
    }
    return err;
}
