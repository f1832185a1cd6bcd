/* Which x86 processors and systems are trusted to run AVX2 and AVX-512: mask_x86.c. */
#include "../mask.h"
#include "check.h"

#ifdef WSF_X86

#define OSXSAVE (1u << 27)
#define AVX2 (1u << 5)
#define AVX512F (1u << 16)
#define VBMI2 (1u << 6)
#define X87 1u
#define SSE 2u
#define AVX 4u
#define MASKS 0x20u
#define ZMM_HIGH 0x40u /* the upper halves of ZMM0-15 */
#define ZMM_MORE 0x80u /* ZMM16-31 */
#define YMM_STATE (X87 | SSE | AVX)
#define ZMM_STATE (YMM_STATE | MASKS | ZMM_HIGH | ZMM_MORE)

/* The processor that is asked, and what it was asked too much. */
static struct processor {
    unsigned highest_leaf;
    unsigned leaf_1_ecx, leaf_7_ebx, leaf_7_ecx;
    uint64_t state; /* what the system saves */
} processor;
static unsigned faults;

static void fake_cpuid(unsigned leaf, unsigned registers[4])
{
    faults += leaf > processor.highest_leaf; /* an old one answers with another leaf's bits */
    registers[0] = leaf == 0 ? processor.highest_leaf : 0xffffffff;
    registers[1] = leaf == 7 ? processor.leaf_7_ebx : 0xffffffff;
    registers[2] = leaf == 1 ? processor.leaf_1_ecx : leaf == 7 ? processor.leaf_7_ecx : 0xffffffff;
    registers[3] = 0xffffffff;
}

static uint64_t fake_enabled_state(void)
{
    faults += !(processor.leaf_1_ecx & OSXSAVE);
    return processor.state;
}

/* Which of the two may be used: "", "avx2", "avx512" or "both". */
static const char *has(struct processor asked)
{
    static const char *const answers[] = {"", "avx2", "avx512", "both"};
    static const wsf_x86 fake = {fake_cpuid, fake_enabled_state};
    processor = asked;
    faults = 0;
    int answer = wsf_x86_has_avx2(&fake) + 2 * wsf_x86_has_avx512(&fake);
    CHECK(faults == 0);
    return answers[answer];
}

static void a_processor_and_a_system_that_have_it(void)
{
    CHECK_TEXT(has((struct processor){7, OSXSAVE, AVX2, 0, YMM_STATE}), "avx2");
    CHECK_TEXT(has((struct processor){7, OSXSAVE, AVX2 | AVX512F, VBMI2, ZMM_STATE}), "both");
    CHECK_TEXT(has((struct processor){32, ~0u, ~0u, ~0u, UINT64_MAX}), "both");
}

static void a_processor_without_it(void)
{
    CHECK_TEXT(has((struct processor){7, OSXSAVE, ~AVX2, VBMI2, UINT64_MAX}), "avx512");
    CHECK_TEXT(has((struct processor){7, OSXSAVE, ~AVX512F, VBMI2, UINT64_MAX}), "avx2");
    CHECK_TEXT(has((struct processor){7, OSXSAVE, 0, ~0u, UINT64_MAX}), "");
}

static void a_processor_that_lowers_its_clock(void)
{
    CHECK_TEXT(has((struct processor){7, OSXSAVE, ~0u, ~VBMI2, UINT64_MAX}), "avx2");
}

static void a_processor_too_old_to_be_asked(void)
{
    CHECK_TEXT(has((struct processor){1, ~0u, ~0u, ~0u, UINT64_MAX}), "");
    CHECK_TEXT(has((struct processor){6, ~0u, ~0u, ~0u, UINT64_MAX}), "");
}

static void a_system_that_does_not_save_its_registers(void)
{
    static const uint64_t missing[] = {MASKS, ZMM_HIGH, ZMM_MORE, MASKS | ZMM_HIGH | ZMM_MORE};
    CHECK_TEXT(has((struct processor){7, ~OSXSAVE, ~0u, ~0u, UINT64_MAX}), "");
    CHECK_TEXT(has((struct processor){7, 0, ~0u, ~0u, 0}), "");
    CHECK_TEXT(has((struct processor){7, OSXSAVE, ~0u, ~0u, ZMM_STATE & ~AVX}), "");
    CHECK_TEXT(has((struct processor){7, OSXSAVE, ~0u, ~0u, ZMM_STATE & ~SSE}), "");
    CHECK_TEXT(has((struct processor){7, OSXSAVE, ~0u, ~0u, 0}), "");
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        CHECK_TEXT(has((struct processor){7, OSXSAVE, ~0u, ~0u, ZMM_STATE & ~missing[i]}), "avx2");
}

#endif

static void can_be_chosen_only_where_it_is_offered(void)
{
    static const char *const names[] = {"avx2", "avx512"};
    for (size_t n = 0; n < 2; n++) {
        int offered = 0;
        for (size_t i = 0; wsf_mask_available(i); i++)
            offered |= strcmp(wsf_mask_available(i), names[n]) == 0;
        CHECK((wsf_mask_select(names[n]) == 0) == offered);
    }
}

int main(void)
{
#ifdef WSF_X86
    TEST(a_processor_and_a_system_that_have_it);
    TEST(a_processor_without_it);
    TEST(a_processor_that_lowers_its_clock);
    TEST(a_processor_too_old_to_be_asked);
    TEST(a_system_that_does_not_save_its_registers);
#endif
    TEST(can_be_chosen_only_where_it_is_offered);
    return check_report("mask_x86");
}
