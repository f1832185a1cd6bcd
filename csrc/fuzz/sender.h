/* A peer that sends what the input tells it to: whole messages, by the library's own encoder. */
#ifndef SENDER_H
#define SENDER_H

#include "fuzz.h"
#include "transcript.h"

typedef struct sender {
    int masks;      /* whether it is a client */
    int compresses; /* whether messages may have RSV1 */
    uint32_t keys;  /* where the masking keys come from */
    uint8_t *stream;
    size_t size;
    size_t budget; /* how many bytes of messages may still be sent */
    transcript sent; /* what a receiver must make of the stream */
} sender;

/* Starts anew, and sends until the input is used up, the stream full, or a close frame is sent. */
void sender_run(sender *sender, fuzz_input *input);

#endif
