/* Which x86 processors and systems are trusted to run AVX2: mask_x86.c. */
#include "../mask.h"
#include "check.h"

#ifdef WSF_X86

#define OSXSAVE (1u << 27)
#define AVX2 (1u << 5)
#define X87 1u
#define SSE 2u
#define AVX 4u

/* The processor that is asked, and what it was asked too much. */
static struct processor {
    unsigned highest_leaf;
    unsigned leaf_1_ecx, leaf_7_ebx;
    uint64_t state; /* what the system saves */
} processor;
static unsigned faults;

static void fake_cpuid(unsigned leaf, unsigned registers[4])
{
    faults += leaf > processor.highest_leaf; /* an old one answers with another leaf's bits */
    registers[0] = leaf == 0 ? processor.highest_leaf : 0xffffffff;
    registers[1] = leaf == 7 ? processor.leaf_7_ebx : 0xffffffff;
    registers[2] = leaf == 1 ? processor.leaf_1_ecx : 0xffffffff;
    registers[3] = 0xffffffff;
}

static uint64_t fake_enabled_state(void)
{
    faults += !(processor.leaf_1_ecx & OSXSAVE);
    return processor.state;
}

static int has_avx2(struct processor asked)
{
    static const wsf_x86 fake = {fake_cpuid, fake_enabled_state};
    processor = asked;
    faults = 0;
    int answer = wsf_x86_has_avx2(&fake);
    CHECK(faults == 0);
    return answer;
}

static void a_processor_and_a_system_that_have_it(void)
{
    CHECK(has_avx2((struct processor){7, OSXSAVE, AVX2, X87 | SSE | AVX}) == 1);
    CHECK(has_avx2((struct processor){32, ~0u, ~0u, UINT64_MAX}) == 1);
}

static void a_processor_without_it(void)
{
    CHECK(has_avx2((struct processor){7, OSXSAVE, ~AVX2, X87 | SSE | AVX}) == 0);
    CHECK(has_avx2((struct processor){7, OSXSAVE, 0, X87 | SSE | AVX}) == 0);
}

static void a_processor_too_old_to_be_asked(void)
{
    CHECK(has_avx2((struct processor){1, ~0u, ~0u, UINT64_MAX}) == 0);
    CHECK(has_avx2((struct processor){6, ~0u, ~0u, UINT64_MAX}) == 0);
}

static void a_system_that_does_not_save_its_registers(void)
{
    CHECK(has_avx2((struct processor){7, ~OSXSAVE, AVX2, UINT64_MAX}) == 0);
    CHECK(has_avx2((struct processor){7, 0, AVX2, 0}) == 0);
    CHECK(has_avx2((struct processor){7, OSXSAVE, AVX2, X87 | SSE}) == 0);
    CHECK(has_avx2((struct processor){7, OSXSAVE, AVX2, X87 | AVX}) == 0);
    CHECK(has_avx2((struct processor){7, OSXSAVE, AVX2, 0}) == 0);
}

#endif

static void avx2_can_be_chosen_only_where_it_is_offered(void)
{
    int offered = 0;
    for (size_t i = 0; wsf_mask_available(i); i++)
        offered |= strcmp(wsf_mask_available(i), "avx2") == 0;
    CHECK((wsf_mask_select("avx2") == 0) == offered);
}

int main(void)
{
#ifdef WSF_X86
    TEST(a_processor_and_a_system_that_have_it);
    TEST(a_processor_without_it);
    TEST(a_processor_too_old_to_be_asked);
    TEST(a_system_that_does_not_save_its_registers);
#endif
    TEST(avx2_can_be_chosen_only_where_it_is_offered);
    return check_report("mask_x86");
}
