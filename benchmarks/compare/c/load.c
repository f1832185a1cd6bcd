/* The load program: load [-p FOLDER_OF_PATTERNS] [-c CERTIFICATE -k KEY]
   load -t: ends with success if TLS was built in */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "server.h"

extern const char *pattern_folder;

int main(int argc, char **argv) {
    const char *certificate = NULL, *key = NULL;
    int option;
    signal(SIGPIPE, SIG_IGN);
    while ((option = getopt(argc, argv, "tp:c:k:")) != -1) {
        switch (option) {
        case 't': return !link_setup_tls(NULL, NULL);
        case 'p': pattern_folder = optarg; break;
        case 'c': certificate = optarg; break;
        case 'k': key = optarg; break;
        default: return 2;
        }
    }
    if (certificate && !link_setup_tls(certificate, key)) {
        fputs("TLS cannot be set up\n", stderr);
        return 3;
    }
    server_run(certificate != NULL);
}
