/*
 * There and back: what one side sends, encoded and masked by the library, is what the other side's
 * parser hears. 18 bytes choose the roles, the delivery and the rest, what follows is what is sent.
 * Then, if the input says so, with limits that are just large enough or just too small, and with a
 * byte changed on the way: what that means, the reference says.
 */
#include "deliver.h"
#include "reference.h"
#include "sender.h"

#define MOST_PIECES 1000 /* more take too long for a long stream */

static void check(const sender *s, const wsf_config *config, delivery how,
                  const transcript *wanted)
{
    if (how.step && s->size / how.step > MOST_PIECES)
        how.step = s->size / MOST_PIECES;
    deliver(&whole, config, s->stream, s->size, wanted);
    deliver(&how, config, s->stream, s->size, wanted);
}

/* A limit beside what one of the messages needs. */
static uint64_t close_limit(const transcript *sent, size_t choice)
{
    if (sent->count == 0)
        return 0;
    const item *message = &sent->items[choice / 4 % sent->count];
    uint64_t needs = message->size;
    if (message->compressed)
        needs = needs < 1024 ? 0 : (needs - 1024) / 2;
    return needs + choice % 4 > 1 ? needs + choice % 4 - 1 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sender peer;
    static transcript wanted;
    fuzz_input input = {data, data + size};
    uint64_t flags = fuzz_take(&input, 1);
    wsf_config config = {.server = flags & 1, .allow_rsv1 = flags >> 1 & 1};
    config.defer_utf8 = flags >> 2 & 1;
    fuzz_choose_mask(flags >> 4 & 7);
    config.pieces = flags >> 7 & 1;
    delivery how = deliver_choose(&input);
    peer.masks = config.server;
    peer.compresses = config.allow_rsv1;
    peer.keys = (uint32_t)fuzz_take(&input, 4);
    size_t limits = (size_t)fuzz_take(&input, 2);
    size_t changed_at = (size_t)fuzz_take(&input, 2);
    uint8_t change = (uint8_t)fuzz_take(&input, 1);

    sender_run(&peer, &input);
    reference_parse(&wanted, &config, peer.stream, peer.size);
    REQUIRE(wanted.errors == 0 && wanted.count == peer.sent.count);
    transcript_require_same(&wanted, &peer.sent, wanted.count);
    check(&peer, &config, how, &peer.sent);
    if (flags & 8) {
        config.max_message = close_limit(&peer.sent, limits / 8);
        config.max_fragments = limits % 8;
        if (changed_at < peer.size)
            peer.stream[changed_at] ^= change;
        reference_parse(&wanted, &config, peer.stream, peer.size);
        check(&peer, &config, how, &wanted);
    }
    return 0;
}
