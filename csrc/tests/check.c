#include "check.h"

#include <stdio.h>
#include <string.h>

/* Loops make the same check a million times; this many of its failures tell all there is. */
#define SHOWN_PER_TEST 8

unsigned long long check_count;

static unsigned long long failures, failures_of_test;
static unsigned tests, tests_failed;
static struct {
    const char *what;
    size_t first, second;
} about;

static int report_place(const char *file, int line)
{
    failures++;
    if (++failures_of_test > SHOWN_PER_TEST)
        return 0;
    printf("\n    %s:%d: ", file, line);
    if (about.what)
        printf("[%s | %zu | %zu] ", about.what, about.first, about.second);
    return 1;
}

void check_failed(const char *file, int line, const char *what)
{
    if (report_place(file, line))
        printf("failed: %s", what);
}

void check_text(const char *file, int line, const char *got, const char *wanted)
{
    check_count++;
    if (strcmp(got, wanted) != 0 && report_place(file, line))
        printf("\n      got:    %s\n      wanted: %s", got, wanted);
}

void check_about(const char *what, size_t first, size_t second)
{
    about.what = what;
    about.first = first;
    about.second = second;
}

void check_run(const char *name, void (*test)(void))
{
    unsigned long long before = check_count;
    printf("  %s", name);
    fflush(stdout); /* a test that crashes is to be seen by its name */
    failures_of_test = 0;
    check_about(NULL, 0, 0);
    test();
    tests++;
    if (check_count == before)
        check_failed(__FILE__, __LINE__, "the test made no check");
    if (failures_of_test) {
        tests_failed++;
        printf("\n    FAILED: %llu of %llu checks\n", failures_of_test, check_count - before);
    } else {
        printf(": %llu checks\n", check_count - before);
    }
}

int check_report(const char *suite)
{
    printf("%s: %u tests, %llu checks, %u tests failed\n", suite, tests, check_count,
           tests_failed);
    return failures != 0 || tests == 0;
}
