/*
 * Runs a fuzz target over the files in the folders that it is given: the committed inputs, in every
 * test run and with any compiler. Each is run in a process of its own, so that one which ends the
 * process is named, and the rest still run.
 */
#define _DEFAULT_SOURCE /* POSIX is not in ISO C */

#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_BYTES ((size_t)1 << 20)

static void complain(const char *path)
{
    perror(path);
    exit(1);
}

/* In a block of just its size, so that ASan sees one byte too far. */
static uint8_t *read_whole(const char *path, size_t *size)
{
    static uint8_t buffer[MOST_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        complain(path);
    *size = fread(buffer, 1, MOST_BYTES, file);
    if (ferror(file) || !feof(file))
        complain(path);
    fclose(file);
    uint8_t *data = fuzz_alloc(*size);
    memcpy(data, buffer, *size);
    return data;
}

/* Whether the target finds nothing. */
static int passes(const char *path)
{
    size_t size;
    uint8_t *data = read_whole(path, &size);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        complain("fork");
    if (child == 0) {
        LLVMFuzzerTestOneInput(data, size);
        _exit(0);
    }
    free(data);
    int status;
    if (waitpid(child, &status, 0) != child)
        complain("waitpid");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void run_folder(const char *folder, unsigned *runs, unsigned *findings)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        complain(folder);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        ++*runs;
        if (!passes(path)) {
            ++*findings;
            printf("  FAILED: %s\n", path);
        }
    }
    closedir(entries);
}

int main(int count, char **arguments)
{
    unsigned runs = 0, findings = 0;
    for (int i = 1; i < count; i++)
        run_folder(arguments[i], &runs, &findings);
    printf("  %u inputs, %u failed\n", runs, findings);
    return findings != 0 || runs == 0;
}
