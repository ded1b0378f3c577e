/* Which path is taken: an unknown one never, the plain one always. */
#include "fa_paths.h"

#include <stdio.h>

int main(void)
{
    int failures = 0;
    failures += fa_path(FA_PATH_PLAIN) != FA_PATH_PLAIN;
    failures += fa_path(FA_PATH_BEST) < FA_PATH_PLAIN;
    failures += fa_path(FA_PATH_AVX2) != 0 && fa_path(FA_PATH_AVX2) != FA_PATH_AVX2;
    failures += fa_path(-1) != 0;
    failures += fa_path(99) != 0;
    printf("%d failures\n", failures);
    return failures != 0;
}
