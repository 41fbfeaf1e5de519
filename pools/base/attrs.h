/* attrs.h - the compiler attributes this project names, and the one cleanup idiom.
 *
 * The code is C17. The attributes below are the only extensions; gcc and clang know them all.
 *
 * Cleanup rule: a constructor that calls malloc frees by one `goto fail`; everybody else holds
 * finished objects in AUTO(ender) variables and hands them over with STEAL. Locks are never
 * scoped: critical sections are short and straight-line.
 */
#ifndef POOLS_BASE_ATTRS_H
#define POOLS_BASE_ATTRS_H

#include <stddef.h>
#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define NO_RETURN __attribute__((noreturn))

/* Declares the pointer-to-pointer twin that AUTO needs, for an ender that accepts NULL. */
#define DEFINE_AUTO(type, ender)                                                                             \
    static inline void ender##_auto(type **held) {                                                           \
        ender(*held);                                                                                        \
    }

/* AUTO(entry_unref) struct entry *entry = NULL; */
#define AUTO(ender) __attribute__((cleanup(ender##_auto)))

/* Takes a pointer out of a variable and leaves NULL behind: ownership moves to the caller. */
static inline void *steal_pointer(void *variable) {
    void *taken = NULL;
    void *null = NULL;
    memcpy(&taken, variable, sizeof taken);
    memcpy(variable, &null, sizeof null);
    return taken;
}
#define STEAL(variable) steal_pointer(&(variable))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* From a member back to the object that embeds it. */
#define CONTAINER_OF(member_pointer, type, member)                                                           \
    ((type *)(void *)((char *)(member_pointer)-offsetof(type, member)))
#define CONTAINER_OF_CONST(member_pointer, type, member)                                                     \
    ((const type *)(const void *)((const char *)(member_pointer)-offsetof(type, member)))

#endif
