/* See fa_paths.h. */
#include "fa_paths.h"

int fa_path(int path)
{
#if FA_HAS_AVX2
    const int avx2 = __builtin_cpu_supports("avx2") ? 1 : 0;
#else
    const int avx2 = 0;
#endif
    switch (path) {
    case FA_PATH_BEST:
        return avx2 ? FA_PATH_AVX2 : FA_PATH_PLAIN;
    case FA_PATH_PLAIN:
        return FA_PATH_PLAIN;
    case FA_PATH_AVX2:
        return avx2 ? FA_PATH_AVX2 : 0;
    default:
        return 0;
    }
}
