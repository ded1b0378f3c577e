/* fa_paths: which instructions a kernel may use. Stateless: the caller says it with each call.
 *
 * Every path of a function does the same operations in the same order on each element, without fused
 * multiply-add, so all of them give the same bits; tests hold them to it.
 */
#ifndef FA_PATHS_H
#define FA_PATHS_H

#define FA_PATH_BEST 0  /* the fastest this machine has */
#define FA_PATH_PLAIN 1 /* what the compiler makes of plain C for the oldest machine of this kind */
#define FA_PATH_AVX2 2  /* x86-64 with AVX2 */

/* The path that is taken when `path` is asked for, or 0 if this machine does not have it. */
int fa_path(int path);

#ifndef FA_CDEF_SKIP
#if defined(__x86_64__) && defined(__GNUC__) && !defined(FA_PORTABLE)
#define FA_HAS_AVX2 1
#define FA_USE_AVX2 __attribute__((target("avx2")))
#else
#define FA_HAS_AVX2 0
#endif
#define FA_BODY static inline __attribute__((always_inline))
#endif

#endif
