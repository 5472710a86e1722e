#include "control/gdb/target_description.hpp"

#include <fmt/format.h>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "control/gdb/registers.hpp"

namespace banyan::gdb {

namespace {

using Bits = std::initializer_list<std::pair<std::string_view, unsigned>>;

void add_flags(std::string& xml, std::string_view id, unsigned size, Bits bits) {
    const auto out = std::back_inserter(xml);
    fmt::format_to(out, R"(<flags id="{}" size="{}">)", id, size);
    for (const auto& [name, bit] : bits)
        fmt::format_to(out, R"(<field name="{}" start="{}" end="{}"/>)", name, bit, bit);
    xml += "</flags>\n";
}

// Types of registers in the features that follow. The names of bits are the manual's: Intel SDM
// vol. 1 section 3.4.3, vol. 3 section 2.5.
void add_core_types(std::string& xml) {
    add_flags(xml, "banyan_eflags", 4,
              {{"CF", 0},
               {"PF", 2},
               {"AF", 4},
               {"ZF", 6},
               {"SF", 7},
               {"TF", 8},
               {"IF", 9},
               {"DF", 10},
               {"OF", 11},
               {"NT", 14},
               {"RF", 16},
               {"VM", 17},
               {"AC", 18},
               {"VIF", 19},
               {"VIP", 20},
               {"ID", 21}});
}

void add_vector_types(std::string& xml) {
    xml +=
        R"(<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/></union>
)";
}

void add_system_types(std::string& xml) {
    add_flags(xml, "banyan_cr0", 8,
              {{"PE", 0},
               {"MP", 1},
               {"EM", 2},
               {"TS", 3},
               {"ET", 4},
               {"NE", 5},
               {"WP", 16},
               {"AM", 18},
               {"NW", 29},
               {"CD", 30},
               {"PG", 31}});
    add_flags(xml, "banyan_cr4", 8,
              {{"VME", 0},
               {"PVI", 1},
               {"TSD", 2},
               {"DE", 3},
               {"PSE", 4},
               {"PAE", 5},
               {"MCE", 6},
               {"PGE", 7},
               {"PCE", 8},
               {"OSFXSR", 9},
               {"OSXMMEXCPT", 10},
               {"UMIP", 11},
               {"LA57", 12},
               {"FSGSBASE", 16},
               {"PCIDE", 17},
               {"OSXSAVE", 18},
               {"SMEP", 20},
               {"SMAP", 21},
               {"PKE", 22}});
    add_flags(xml, "banyan_efer", 8, {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}});
}

// GDB finds what it knows by the feature's name.
struct Feature {
    std::string_view name;
    void (*add_types)(std::string& xml);
};

Feature feature_of(RegisterKind kind) {
    const auto no_types = [](std::string&) {};
    switch (kind) {
        case RegisterKind::xmm:
        case RegisterKind::mxcsr: return {"org.gnu.gdb.i386.sse", add_vector_types};
        case RegisterKind::segment_base: return {"org.gnu.gdb.i386.segments", no_types};
        case RegisterKind::system: return {"banyan.x86.system", add_system_types};
        case RegisterKind::ymm_high: return {"org.gnu.gdb.i386.avx", no_types};
        default: return {"org.gnu.gdb.i386.core", add_core_types};
    }
}

void add_register(std::string& xml, const Register& reg) {
    const auto out = std::back_inserter(xml);
    fmt::format_to(out, R"(<reg name="{}" bitsize="{}" type="{}")", reg.name, reg.size * 8,
                   reg.type);
    if (!reg.group.empty()) fmt::format_to(out, R"( group="{}")", reg.group);
    xml += "/>\n";
}

std::string describe() {
    std::string xml = R"(<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0"><architecture>i386:x86-64</architecture>
)";
    std::string_view last;
    for (const Register& reg : registers()) {
        const Feature feature = feature_of(reg.kind);
        if (feature.name != last) {
            if (!last.empty()) xml += "</feature>\n";
            fmt::format_to(std::back_inserter(xml), "<feature name=\"{}\">\n", feature.name);
            feature.add_types(xml);
            last = feature.name;
        }
        add_register(xml, reg);
    }
    return xml + "</feature>\n</target>\n";
}

}  // namespace

const std::string& target_description() {
    static const std::string xml = describe();
    return xml;
}

}  // namespace banyan::gdb
