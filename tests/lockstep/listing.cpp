#include "lockstep/listing.hpp"

#include <Zydis/Zydis.h>
#include <algorithm>
#include <cstdio>

namespace banyan::lockstep {

namespace {

constexpr uint64_t kNear = 40;  // bytes on each side

bool is_code(uint64_t linear) {
    for (const uint64_t window : {kUserWindow, kUserWindow + kCodeAlias, kKernelWindow}) {
        if (linear - window - kCode < kCodeSize) return true;
    }
    return false;
}

std::string list_range(const Program& program, uint64_t from, uint64_t to, uint64_t marked) {
    std::string text;
    const auto& bytes = program.image.bytes();
    for (uint64_t offset = from; offset < std::min(to, kCodeSize); ++offset) {
        if (bytes[kLengths + offset] == 0) continue;
        ZydisDisassembledInstruction instruction;
        const bool decoded = ZYAN_SUCCESS(ZydisDisassembleIntel(
            ZYDIS_MACHINE_MODE_LONG_64, program.settings.window() + kCode + offset,
            &bytes[kCode + offset], bytes[kLengths + offset], &instruction));
        char line[160];
        std::snprintf(line, sizeof(line), "  %s %04llx  %s\n", offset == marked ? ">" : " ",
                      static_cast<unsigned long long>(offset),
                      decoded ? instruction.text : "(bytes)");
        text += line;
    }
    return text;
}

}  // namespace

std::string list_code(const Program& program) {
    return list_range(program, 0, kCodeSize, kCodeSize);
}

std::string list_code(const Program& program, uint64_t around) {
    if (!is_code(around)) return {};
    const uint64_t offset = around & (kCodeSize - 1);
    return list_range(program, offset - std::min(offset, kNear), offset + kNear, offset);
}

std::string list_exceptions(std::span<const std::byte> ram, uint64_t count) {
    uint64_t total;
    std::memcpy(&total, &ram[kPerCpu + kPerCpuExceptions], sizeof(total));
    total = std::min<uint64_t>(total, 512);
    std::string text;
    for (uint64_t i = total - std::min(total, count); i < total; ++i) {
        unsigned long long entry[8];  // kernel.hpp: the log
        std::memcpy(entry, &ram[kLog + i * sizeof(entry)], sizeof(entry));
        char line[200];
        std::snprintf(line, sizeof(line),
                      "    exception %llu: vector %llu error %llx rip %llx:%llx rflags %llx rsp "
                      "%llx:%llx cr2 %llx\n",
                      static_cast<unsigned long long>(i), entry[0], entry[1], entry[3], entry[2],
                      entry[4], entry[6], entry[5], entry[7]);
        text += line;
    }
    return text;
}

}  // namespace banyan::lockstep
