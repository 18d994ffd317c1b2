/* Vector operations on GNU vector extensions, for the element type T of ELEMENT_BYTES in vectors of
 * LANES elements. Included once for float and once for double, so it has no include guard and
 * names everything through NAME(). Nothing here knows about convolution. */
#undef V
#define V NAME(vector)
typedef T V __attribute__((vector_size(LANES * ELEMENT_BYTES)));
typedef T NAME(unaligned)
    __attribute__((vector_size(LANES * ELEMENT_BYTES), aligned(ELEMENT_BYTES), may_alias));

#undef MASK
#define MASK NAME(mask)
#if ELEMENT_BYTES == 4
typedef int32_t MASK __attribute__((vector_size(LANES * ELEMENT_BYTES)));
#else
typedef int64_t MASK __attribute__((vector_size(LANES * ELEMENT_BYTES)));
#endif

#undef vload
#define vload NAME(load)
DC_INLINE V vload(const T *p) { return (V)(*(const NAME(unaligned) *)p); }

#undef vstore
#define vstore NAME(store)
DC_INLINE void vstore(T *p, V v) { *(NAME(unaligned) *)p = (NAME(unaligned))v; }

/* x - 0 is x for every x, so the compiler drops the subtraction; x + 0 is not (-0 + 0 = 0). */
#undef vbroadcast
#define vbroadcast NAME(broadcast)
DC_INLINE V vbroadcast(T x) { return x - (V){}; }

/* A NaN in x passes through: the comparisons are false for it. */
#undef vclamp
#define vclamp NAME(clamp)
DC_INLINE V vclamp(V x, V low, V high)
{
    MASK below = x < low;
    x = (V)(((MASK)low & below) | ((MASK)x & ~below));
    MASK above = x > high;
    return (V)(((MASK)high & above) | ((MASK)x & ~above));
}

/* Keeps a value in a register: without it the compiler may read it again from memory at every use. */
#undef vpin
#if defined(__AVX512F__) && LANES * ELEMENT_BYTES <= 64
#define vpin(v) __asm__("" : "+v"(v))
#elif defined(__AVX2__) && LANES * ELEMENT_BYTES <= 32
#define vpin(v) __asm__("" : "+x"(v))
#elif defined(__SSE2__) && LANES * ELEMENT_BYTES <= 16
#define vpin(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__) && LANES * ELEMENT_BYTES <= 16
#define vpin(v) __asm__("" : "+w"(v))
#else
#define vpin(v) ((void)0)
#define SETTLE_IN_MEMORY
#endif

/* Rounds a product to T: without it the compiler may fuse it with the addition that follows. */
#undef vsettle
#ifdef SETTLE_IN_MEMORY
#define vsettle(v) __asm__("" : "+m"(v))
#else
#define vsettle(v) vpin(v)
#endif
#undef SETTLE_IN_MEMORY

/* vshuffle(a, b, INDEX): lane j of the result is lane INDEX(j) of a followed by b. */
#undef EACH_LANE
#if LANES == 2
#define EACH_LANE(f) f(0), f(1)
#elif LANES == 4
#define EACH_LANE(f) f(0), f(1), f(2), f(3)
#elif LANES == 8
#define EACH_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#elif LANES == 16
#define EACH_LANE(f)                                                                           \
    f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13),    \
        f(14), f(15)
#else
#error "LANES must be 2, 4, 8 or 16"
#endif
#undef vshuffle
#undef SHUFFLES_ANY_WIDTH
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES_ANY_WIDTH
#endif
#endif
#ifdef SHUFFLES_ANY_WIDTH
#define vshuffle(a, b, index) __builtin_shufflevector(a, b, EACH_LANE(index))
#else
#define vshuffle(a, b, index) __builtin_shuffle(a, b, (MASK){EACH_LANE(index)})
#endif

/* A bit for each lane. Lanes whose bits are set are loaded and stored; others become zero, or are not written,
 * and their memory is not touched. vmerge_lanes loads into a vector whose other lanes stay. */
#undef LANE_BITS
#undef vload_lanes
#undef vmerge_lanes
#undef vstore_lanes
#define vload_lanes NAME(load_lanes)
#define vmerge_lanes NAME(merge_lanes)
#define vstore_lanes NAME(store_lanes)
#undef HAS_LANE_MASKS
#if defined(__AVX512F__) && LANES * ELEMENT_BYTES == 64
#define HAS_LANE_MASKS
#include <immintrin.h>
#endif
#if defined(HAS_LANE_MASKS) && ELEMENT_BYTES == 4
#define LANE_BITS __mmask16
DC_INLINE V vload_lanes(const T *p, LANE_BITS lanes)
{
    return (V)_mm512_maskz_loadu_ps(lanes, p);
}
DC_INLINE V vmerge_lanes(V v, const T *p, LANE_BITS lanes)
{
    return (V)_mm512_mask_loadu_ps((__m512)v, lanes, p);
}
DC_INLINE void vstore_lanes(T *p, V v, LANE_BITS lanes)
{
    _mm512_mask_storeu_ps(p, lanes, (__m512)v);
}
#elif defined(HAS_LANE_MASKS)
#define LANE_BITS __mmask8
DC_INLINE V vload_lanes(const T *p, LANE_BITS lanes)
{
    return (V)_mm512_maskz_loadu_pd(lanes, p);
}
DC_INLINE V vmerge_lanes(V v, const T *p, LANE_BITS lanes)
{
    return (V)_mm512_mask_loadu_pd((__m512d)v, lanes, p);
}
DC_INLINE void vstore_lanes(T *p, V v, LANE_BITS lanes)
{
    _mm512_mask_storeu_pd(p, lanes, (__m512d)v);
}
#else
#define LANE_BITS uint32_t
DC_INLINE V vmerge_lanes(V v, const T *p, uint32_t lanes)
{
    for (int i = 0; i < LANES; i++)
        if (lanes >> i & 1)
            v[i] = p[i];
    return v;
}
DC_INLINE V vload_lanes(const T *p, uint32_t lanes) { return vmerge_lanes((V){}, p, lanes); }
DC_INLINE void vstore_lanes(T *p, V v, uint32_t lanes)
{
    for (int i = 0; i < LANES; i++)
        if (lanes >> i & 1)
            p[i] = v[i];
}
#endif

/* Keeps bits in a register of their own kind. */
#undef vpin_lanes
#ifdef HAS_LANE_MASKS
#define vpin_lanes(bits) __asm__("" : "+Yk"(bits))
#else
#define vpin_lanes(bits) ((void)0)
#endif

/* Lane j is lane j + n of a followed by b; n is at most 3, or LANES less at most 3. A shuffle would take a
 * register for each table. */
#undef vslide
#define vslide NAME(slide_lanes)
#undef SLIDE
#if defined(HAS_LANE_MASKS) && ELEMENT_BYTES == 4
#define SLIDE(a, b, n, index) (V) _mm512_alignr_epi32((__m512i)(b), (__m512i)(a), n)
#elif defined(HAS_LANE_MASKS)
#define SLIDE(a, b, n, index) (V) _mm512_alignr_epi64((__m512i)(b), (__m512i)(a), n)
#else
#define SLIDE(a, b, n, index) vshuffle(a, b, index)
#endif
#define AFTER_1(j) (1 + (j))
#define AFTER_2(j) (2 + (j))
#define AFTER_3(j) (3 + (j))
#define BEFORE_1(j) (LANES - 1 + (j))
#define BEFORE_2(j) (LANES - 2 + (j))
#define BEFORE_3(j) (LANES - 3 + (j))
DC_INLINE V vslide(V a, V b, const int n)
{
    if (n == 1)
        return SLIDE(a, b, 1, AFTER_1);
    if (n == LANES - 1)
        return SLIDE(a, b, LANES - 1, BEFORE_1);
    if (n == 2)
        return SLIDE(a, b, 2, AFTER_2);
    if (n == LANES - 2)
        return SLIDE(a, b, LANES - 2, BEFORE_2);
#if LANES > 2
    if (n == 3)
        return SLIDE(a, b, 3, AFTER_3);
    if (n == LANES - 3)
        return SLIDE(a, b, LANES - 3, BEFORE_3);
#endif
    return n ? b : a;
}
#undef AFTER_1
#undef AFTER_2
#undef AFTER_3
#undef BEFORE_1
#undef BEFORE_2
#undef BEFORE_3

/* vjoin: LANES/2 elements from each address, together; vsplit: the lower and the upper half of the lanes. */
#undef EACH_LOWER_LANE
#if LANES == 4
#define EACH_LOWER_LANE(f) f(0), f(1)
#elif LANES == 8
#define EACH_LOWER_LANE(f) f(0), f(1), f(2), f(3)
#elif LANES == 16
#define EACH_LOWER_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#endif
#undef vjoin
#undef vsplit
#define vjoin NAME(join)
#define vsplit NAME(split)
#define SAME_LANE(j) (j)
#define UPPER_LANE(j) (LANES / 2 + (j))
#if LANES >= 4
typedef T NAME(half)
    __attribute__((vector_size(LANES * ELEMENT_BYTES / 2), aligned(ELEMENT_BYTES), may_alias));
#if defined(SHUFFLES_ANY_WIDTH)
DC_INLINE V vjoin(const T *low, const T *high)
{
    return __builtin_shufflevector(*(const NAME(half) *)low, *(const NAME(half) *)high,
                                   EACH_LANE(SAME_LANE));
}
DC_INLINE void vsplit(V v, T *low, T *high)
{
    *(NAME(half) *)low = __builtin_shufflevector(v, v, EACH_LOWER_LANE(SAME_LANE));
    *(NAME(half) *)high = __builtin_shufflevector(v, v, EACH_LOWER_LANE(UPPER_LANE));
}
#else
DC_INLINE V vjoin(const T *low, const T *high)
{
    V both;
    __builtin_memcpy(&both, low, sizeof both / 2);
    __builtin_memcpy((T *)&both + LANES / 2, high, sizeof both / 2);
    return both;
}
DC_INLINE void vsplit(V v, T *low, T *high)
{
    __builtin_memcpy(low, &v, sizeof v / 2);
    __builtin_memcpy(high, (T *)&v + LANES / 2, sizeof v / 2);
}
#endif
#endif
#undef SAME_LANE
#undef UPPER_LANE
