/* Masking, in each implementation that this processor can run: mask.c, mask_x86.c, mask_neon.c. */
#include "check.h"
#include "guard.h"
#include "wsf.h"

#include <stdio.h>
#include <string.h>

#define MOST 300
#define OFFSETS 64
#define MARGIN 96 /* of bytes around the buffer that must stay as they are */
#define MARK 0xa5

static uint8_t plain[MARGIN + OFFSETS + MOST + MARGIN]; /* what is masked; never written to */
static const uint8_t key_bytes[4] = {0x01, 0x80, 0xfe, 0x5c};

static uint32_t key_from(const uint8_t *bytes)
{
    uint32_t key;
    memcpy(&key, bytes, 4);
    return key;
}

static uint32_t the_key(void)
{
    return key_from(key_bytes);
}

/* The key as it must be after `size` bytes: its bytes turned by as many places. */
static uint32_t turned(size_t size)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < 4; i++)
        bytes[i] = key_bytes[(size + i) % 4];
    return key_from(bytes);
}

static void mask_naively(uint8_t *dst, const uint8_t *src, size_t size)
{
    for (size_t i = 0; i < size; i++)
        dst[i] = src[i] ^ key_bytes[i % 4];
}

/* Whether `area` holds `size` masked bytes of `src` at `at`, and marks everywhere else. */
static int is_masked(const uint8_t *area, size_t area_size, const uint8_t *at, const uint8_t *src,
                     size_t size)
{
    uint8_t wanted[sizeof plain + 2 * MARGIN];
    memset(wanted, MARK, sizeof wanted);
    mask_naively(wanted + (at - area), src, size);
    return memcmp(area, wanted, area_size) == 0;
}

static void every_length_and_offset_from_one_buffer_to_another(void)
{
    static const size_t dst_offsets[] = {0, 1, 2, 4, 7, 15, 16, 31, 33, 63};
    static uint8_t area[sizeof plain];
    for (size_t size = 0; size <= MOST; size++) {
        for (size_t offset = 0; offset < OFFSETS; offset++) {
            for (size_t i = 0; i < sizeof dst_offsets / sizeof *dst_offsets; i++) {
                uint8_t *dst = area + MARGIN + dst_offsets[i];
                memset(area, MARK, sizeof area);
                check_about(wsf_mask_implementation(), size, offset);
                CHECK(wsf_mask(dst, plain + offset, size, the_key()) == turned(size));
                CHECK(is_masked(area, sizeof area, dst, plain + offset, size));
            }
        }
    }
}

static void every_length_and_offset_in_place(void)
{
    static uint8_t area[sizeof plain];
    for (size_t size = 0; size <= MOST; size++) {
        for (size_t offset = 0; offset < OFFSETS; offset++) {
            uint8_t *at = area + MARGIN + offset;
            memset(area, MARK, sizeof area);
            memcpy(at, plain, size);
            check_about(wsf_mask_implementation(), size, offset);
            CHECK(wsf_mask(at, at, size, the_key()) == turned(size));
            CHECK(is_masked(area, sizeof area, at, plain, size));
        }
    }
}

static void a_split_at_any_point_makes_no_difference(void)
{
    uint8_t whole[MOST], parts[MOST];
    for (size_t size = 0; size <= MOST; size++) {
        mask_naively(whole, plain, size);
        for (size_t first = 0; first <= size; first++) {
            check_about(wsf_mask_implementation(), size, first);
            uint32_t key = wsf_mask(parts, plain, first, the_key());
            CHECK(key == turned(first));
            key = wsf_mask(parts + first, plain + first, size - first, key);
            CHECK(key == turned(size));
            CHECK(memcmp(parts, whole, size) == 0);
        }
    }
}

static void many_small_pieces_make_no_difference(void)
{
    uint8_t whole[MOST], parts[MOST];
    mask_naively(whole, plain, MOST);
    for (size_t step = 1; step < 70; step++) {
        uint32_t key = the_key();
        for (size_t at = 0; at < MOST; at += step)
            key = wsf_mask(parts + at, plain + at, at + step < MOST ? step : MOST - at, key);
        check_about(wsf_mask_implementation(), step, 0);
        CHECK(key == turned(MOST));
        CHECK(memcmp(parts, whole, MOST) == 0);
    }
}

/* Long enough for all that is done to large payloads only, at every alignment. */
static void long_buffers(void)
{
    enum { SIZE = 40003 };
    static uint8_t src[SIZE + OFFSETS], dst[SIZE + 2 * OFFSETS], wanted[SIZE];
    for (size_t i = 0; i < sizeof src; i++)
        src[i] = (uint8_t)(i * 31 + i / 251);
    for (size_t offset = 0; offset < OFFSETS; offset++) {
        const uint8_t *from = src + offset * 7 % OFFSETS;
        uint8_t *to = dst + offset;
        check_about(wsf_mask_implementation(), SIZE, offset);
        mask_naively(wanted, from, SIZE);
        memset(dst, MARK, sizeof dst);
        CHECK(wsf_mask(to, from, SIZE, the_key()) == turned(SIZE));
        CHECK(memcmp(to, wanted, SIZE) == 0);
        for (size_t i = 0; i < sizeof dst; i++)
            CHECK(dst[i] == MARK || (i >= offset && i < offset + SIZE));
        memcpy(to, from, SIZE);
        CHECK(wsf_mask(to, to, SIZE, the_key()) == turned(SIZE));
        CHECK(memcmp(to, wanted, SIZE) == 0);
    }
}

static void special_keys(void)
{
    uint8_t out[MOST];
    CHECK(wsf_mask(out, plain, MOST, 0) == 0);
    CHECK(memcmp(out, plain, MOST) == 0);
    CHECK(wsf_mask(out, plain, MOST - 1, UINT32_MAX) == UINT32_MAX);
    for (size_t i = 0; i < MOST - 1; i++)
        CHECK((out[i] ^ plain[i]) == 0xff);
}

static void nothing_may_be_null(void)
{
    uint8_t byte = MARK;
    CHECK(wsf_mask(NULL, NULL, 0, the_key()) == the_key());
    CHECK(wsf_mask(&byte, NULL, 0, the_key()) == the_key() && byte == MARK);
}

static void not_a_byte_beyond_the_buffers(void)
{
    static guard source, target;
    if (source.first == NULL) {
        source = guard_new(MOST);
        target = guard_new(MOST);
    }
    for (size_t size = 0; size <= MOST; size++) {
        for (int from = 0; from < GUARD_PLACES; from++) {
            uint8_t *src = guard_place(&source, from, size);
            memcpy(src, plain, size);
            for (int to = 0; to < GUARD_PLACES; to++) {
                uint8_t *dst = guard_place(&target, to, size);
                check_about(wsf_mask_implementation(), size, (size_t)(2 * from + to));
                CHECK(wsf_mask(dst, src, size, the_key()) == turned(size));
                CHECK(is_masked(dst, size, dst, plain, size));
            }
            CHECK(wsf_mask(src, src, size, the_key()) == turned(size));
            CHECK(is_masked(src, size, src, plain, size));
        }
    }
}

static void scalar_is_used_until_another_is_chosen(void)
{
    CHECK_TEXT(wsf_mask_implementation(), "scalar");
}

static void scalar_is_always_there(void)
{
    CHECK(wsf_mask_available(0) != NULL);
    CHECK_TEXT(wsf_mask_available(0), "scalar");
    CHECK(wsf_mask_select("scalar") == 0);
    CHECK_TEXT(wsf_mask_implementation(), "scalar");
}

static void the_processor_s_own_are_there(void)
{
#if defined(__x86_64__)
    CHECK(wsf_mask_select("sse2") == 0);
    __builtin_cpu_init();
    CHECK((wsf_mask_select("avx2") == 0) == (__builtin_cpu_supports("avx2") != 0));
    CHECK((wsf_mask_select("avx512") == 0) ==
          (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vbmi2")));
    CHECK(wsf_mask_select("neon") == -1);
#elif defined(__aarch64__)
    CHECK(wsf_mask_select("neon") == 0);
    CHECK(wsf_mask_select("sse2") == -1 && wsf_mask_select("avx2") == -1);
    CHECK(wsf_mask_select("avx512") == -1);
#else
    CHECK(wsf_mask_available(1) == NULL);
#endif
}

static void a_name_that_cannot_be_chosen_changes_nothing(void)
{
    static const char *const names[] = {"", "SSE2", "scalar ", "sse", "avx1024"};
    const char *best = NULL;
    for (size_t i = 0; wsf_mask_available(i); i++)
        best = wsf_mask_available(i);
    CHECK(wsf_mask_select(best) == 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(wsf_mask_select(names[i]) == -1);
        CHECK_TEXT(wsf_mask_implementation(), best);
    }
}

static void null_chooses_the_last_of_the_list(void)
{
    const char *best = NULL;
    for (size_t i = 0; wsf_mask_available(i); i++)
        best = wsf_mask_available(i);
    CHECK(wsf_mask_select("scalar") == 0);
    CHECK(wsf_mask_select(NULL) == 0);
    CHECK_TEXT(wsf_mask_implementation(), best);
    CHECK(wsf_mask_available(1000) == NULL);
}

int main(void)
{
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 167 + 13);
    TEST(scalar_is_used_until_another_is_chosen);
    TEST(scalar_is_always_there);
    TEST(the_processor_s_own_are_there);
    TEST(a_name_that_cannot_be_chosen_changes_nothing);
    TEST(null_chooses_the_last_of_the_list);
    for (size_t i = 0; wsf_mask_available(i); i++) {
        if (wsf_mask_select(wsf_mask_available(i)) != 0)
            return 1;
        printf("  with %s:\n", wsf_mask_implementation());
        TEST(every_length_and_offset_from_one_buffer_to_another);
        TEST(every_length_and_offset_in_place);
        TEST(a_split_at_any_point_makes_no_difference);
        TEST(many_small_pieces_make_no_difference);
        TEST(long_buffers);
        TEST(special_keys);
        TEST(nothing_may_be_null);
        TEST(not_a_byte_beyond_the_buffers);
    }
    return check_report("mask");
}
