/*
 * The message parser against the reference, over any stream: 12 bytes choose the role, the limits
 * and the delivery, the rest is what comes. However it is delivered, it must mean the same.
 */
#include "deliver.h"
#include "reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static transcript wanted;
    fuzz_input input = {data, data + size};
    uint64_t flags = fuzz_take(&input, 1);
    wsf_config config = {0};
    config.server = flags & 1;
    config.allow_rsv1 = flags >> 1 & 1;
    config.defer_utf8 = flags >> 2 & 1;
    fuzz_choose_mask(flags >> 3 & 15);
    config.pieces = flags >> 7 & 1;
    config.max_message = fuzz_take(&input, 2);
    config.max_fragments = fuzz_take(&input, 1);
    delivery how = deliver_choose(&input);

    reference_parse(&wanted, &config, input.at, fuzz_left(&input));
    deliver(&whole, &config, input.at, fuzz_left(&input), &wanted);
    deliver(&bytewise, &config, input.at, fuzz_left(&input), &wanted);
    deliver(&how, &config, input.at, fuzz_left(&input), &wanted);
    return 0;
}
