/* What the limit is measured at. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "limit.h"

/* So much goes into one system call; it was measured to be best for large messages, and good for
   small ones. */
enum { GATHERED = 256 * 1024 };

static void echo(struct client *client, const struct task *task, double *latencies) {
    size_t size;
    uint8_t *message = calloc(1, task->size + 1);
    for (size_t i = 0; i < task->warm + task->count; i++) {
        if (i == task->warm)
            clock_start();
        double sent = now();
        client_send(client, message, task->size);
        free(message);
        message = client_receive(client, &size);
        if (i >= task->warm)
            latencies[i - task->warm] = now() - sent;
    }
    clock_stop();
    free(message);
}

static void receive_round(struct client *client, size_t count) {
    size_t size;
    client_send(client, (const uint8_t *)"go", 2);
    while (count--)
        free(client_receive(client, &size));
}

static void received(struct client *client, const struct task *task) {
    receive_round(client, task->warm);
    clock_start();
    receive_round(client, task->count);
    clock_stop();
}

void client_send_many(struct client *client, const uint8_t *payload, size_t size, size_t count) {
    static uint8_t *out;
    size_t used = 0, room = GATHERED + size + HEADER_MAX;
    out = out ? out : malloc(room);
    while (count--) {
        used += client_frame(out + used, payload, size);
        if (used >= GATHERED || !count) {
            link_write_all(&client->link, out, used);
            used = 0;
        }
    }
}

static void send_round(struct client *client, const uint8_t *payload, size_t size, size_t count) {
    client_send_many(client, payload, size, count);
    free(client_receive(client, &size));
}

static void sent(struct client *client, const struct task *task) {
    uint8_t *payload = malloc(task->size);
    memset(payload, 'x', task->size);
    send_round(client, payload, task->size, task->warm);
    clock_start();
    send_round(client, payload, task->size, task->count);
    clock_stop();
    free(payload);
}

static void connects(const struct task *task) {
    struct client client;
    for (size_t i = 0; i < task->warm + task->count; i++) {
        if (i == task->warm)
            clock_start();
        client_open(&client, task);
        client_close(&client);
    }
    clock_stop();
}

bool task_run(const struct task *task, double *latencies) {
    struct client client;
    if (!strcmp(task->name, "connects")) {
        connects(task);
        return true;
    }
    if (task->connections > 1) {
        task_run_many(task);
        return true;
    }
    client_open(&client, task);
    if (!strcmp(task->name, "echo") || !strcmp(task->name, "request"))
        echo(&client, task, latencies);
    else if (!strcmp(task->name, "received"))
        received(&client, task);
    else if (!strcmp(task->name, "sent"))
        sent(&client, task);
    else
        return false;
    client_close(&client);
    return true;
}
