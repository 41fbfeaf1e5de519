/* hdf5_beside.c - how long small durable writes take while one large entry streams into an hdf5 pool.
 *
 *     hdf5_beside FILE MEBIBYTES put
 *     hdf5_beside FILE MEBIBYTES append OTHER_FILE
 *
 * One thread streams the large entry through pool.h. Beside it, from its first piece until it is committed, another one
 * makes durable puts of 1 KiB into the same pool, or appends 4 KiB to another file with an fdatasync each. Prints each one's time
 * in microseconds.
 */
#include "pools/base/clock.h"
#include "tests/bench/hdf5/pool_file.h"
#include "tests/bench/hdf5/program.h"
#include "tests/bench/hdf5/records.h"
#include "tests/bench/hdf5/samples.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define PIECE_BYTES (UINT64_C(256) << 10)
#define PIECES_A_MEBIBYTE 4
#define APPEND_BYTES 4096
/* Small entries get numbers that no file of hdf5_puts has. */
#define FIRST_NUMBER (UINT64_C(1) << 52)

struct stream {
    struct pool_file file;
    uint64_t pieces;
    pthread_barrier_t begun;
    atomic_bool done;
};

static void *stream_in(void *argument) {
    struct stream *stream = argument;
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_trusted("large", strlen("large"));
    struct write_options options = {0};
    meta_init(&options.meta);
    options.meta.size_bytes = stream->pieces * PIECE_BYTES;
    AUTO(blob_unref) struct blob *piece = blob_new(PIECE_BYTES);
    if (!piece) {
        program_give_up("stream", "no memory");
    }
    memset(piece->data, 0, piece->size); /* no text */
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    program_check(pool_open_writer(stream->file.pool, &op, &id, &options, &writer), &op, "open_writer");
    for (uint64_t i = 0; i < stream->pieces; i++) {
        memcpy(piece->data, &i, sizeof i);
        program_check(pool_writer_write(writer, &op, piece->data, piece->size), &op, "write");
        if (i == 0) {
            pthread_barrier_wait(&stream->begun);
        }
    }
    struct commit_result result;
    program_check(pool_writer_commit(writer, &op, &result), &op, "commit");
    meta_fini(&result.meta);
    atomic_store(&stream->done, true);
    return NULL;
}

static void append(int fd) {
    char block[APPEND_BYTES];
    memset(block, 'a', sizeof block);
    if (write(fd, block, sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0) {
        program_give_up("append", strerror(errno));
    }
}

/* appended_to < 0 = puts into the pool. */
static void write_beside(struct stream *stream, int appended_to, struct samples *samples) {
    pthread_barrier_wait(&stream->begun);
    for (uint64_t turn = 0; !atomic_load(&stream->done); turn++) {
        uint64_t began_ns = clock_now_ns();
        if (appended_to < 0) {
            pool_file_put(&stream->file, FIRST_NUMBER + turn);
        } else {
            append(appended_to);
        }
        samples_add(samples, clock_now_ns() - began_ns);
    }
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void print(const struct samples *samples, double seconds, const struct pool_file *file) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"seconds\": %.3f, \"user_s\": %.3f, \"system_s\": %.3f%s, \"taken_us\": [", seconds,
           seconds_of(usage.ru_utime), seconds_of(usage.ru_stime), pool_file_promise(file));
    for (size_t i = 0; i < samples->count; i++) {
        printf("%s%.1f", i ? ", " : "", (double)samples->taken_ns[i] / 1e3);
    }
    printf("]}\n");
}

int main(int argc, char **argv) {
    bool appends = argc == 5 && strcmp(argv[3], "append") == 0;
    program_want(argc, appends ? 4 : 3, "hdf5_beside FILE MEBIBYTES put|append [OTHER_FILE]");
    struct stream stream = {.pieces = program_number(argv[2]) * PIECES_A_MEBIBYTE};
    int fd = appends ? open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (!stream.pieces || (appends && fd < 0)) {
        program_give_up("hdf5_beside", "nothing to stream, or nothing to append to");
    }
    atomic_init(&stream.done, false);
    pool_file_open(&stream.file, argv[1], NULL);
    pthread_t thread;
    if (pthread_barrier_init(&stream.begun, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, stream_in, &stream) != 0) {
        program_give_up("hdf5_beside", "no thread");
    }
    struct samples samples = {0};
    uint64_t began_ns = clock_now_ns();
    write_beside(&stream, fd, &samples);
    pthread_join(thread, NULL);
    double seconds = (double)(clock_now_ns() - began_ns) / 1e9;
    print(&samples, seconds, &stream.file);
    samples_fini(&samples);
    pthread_barrier_destroy(&stream.begun);
    pool_file_close(&stream.file);
    if (fd >= 0) {
        close(fd);
    }
    return 0;
}
