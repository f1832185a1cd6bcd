/* What the measured program says to callgrind: write down what was counted since the last time, and
 * count anew. Outside of valgrind these do nothing. */
#include <valgrind/callgrind.h>

int under_valgrind(void) { return (int)RUNNING_ON_VALGRIND; }

void written_down(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }

void count_anew(void) { CALLGRIND_ZERO_STATS; }
