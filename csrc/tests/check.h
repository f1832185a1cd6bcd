/* The test harness: named tests, checks that are counted, and a report at the end. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

extern unsigned long long check_count;

/* A check that fails is reported with its place, and the test goes on. */
#define CHECK(condition) \
    (check_count++, (condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
#define CHECK_TEXT(got, wanted) check_text(__FILE__, __LINE__, got, wanted)

void check_failed(const char *file, int line, const char *what);
void check_text(const char *file, int line, const char *got, const char *wanted);

/* What the checks that follow are about; shown with those that fail. `what` is kept, not copied. */
void check_about(const char *what, size_t first, size_t second);

/* Runs the test function `name`. */
#define TEST(name) check_run(#name, name)
void check_run(const char *name, void (*test)(void));

/* Prints the counts; returns what main is to return: 1 if any check failed, or none was made. */
int check_report(const char *suite);

#endif
