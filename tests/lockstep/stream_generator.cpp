#include "lockstep/stream_generator.hpp"

#include <algorithm>
#include <array>

#include "conformance/offered.hpp"
#include "lockstep/flow.hpp"
#include "lockstep/kernel.hpp"

namespace banyan::lockstep {

namespace {

constexpr unsigned kFunctions = 6;
constexpr unsigned kKernelFunctions = 8;
constexpr unsigned kTemplates = 3;
constexpr uint64_t kRepeatsOfFunctions = 50;  // assumed

class Builder {
public:
    Builder(Program& program, RandomEncodings& encodings, uint64_t parts)
        : program_(program),
          parts_(parts),
          image_(program.image),
          random_(program.seed, program.number),
          encodings_(encodings),
          code_(std::span(image_.bytes()).subspan(kCode, kCodeSize), 0) {}

    void build();

private:
    void choose_settings();
    void fill_data();
    void fill_remap_pages();
    void make_templates(Stream& stream);
    void make_kernel_functions();
    void make_functions(Stream& stream);
    void make_parts(Stream& stream);
    void begin_part(Stream& stream, Label next);
    void copy_notes();
    void fill_registers();

    Program& program_;
    uint64_t parts_;  // at most
    Image& image_;
    Random random_;
    RandomEncodings& encodings_;
    Assembler code_;
    std::vector<std::pair<uint64_t, uint64_t>> templates_;
};

void Builder::choose_settings() {
    Settings& settings = program_.settings;
    settings.supervisor = random_.chance(45);
    settings.smap = random_.chance(40);
    settings.alignment_check = random_.chance(10);
    settings.simd_exceptions = random_.chance(6);
}

// Zeroes, ones, infinities, NaNs, denormals, ordinary numbers of both widths, and random bits.
void put_float_patterns(Random& random, uint8_t* to, size_t size) {
    static constexpr std::array<uint64_t, 12> kDoubles = {
        0x0000000000000000, 0x8000000000000000, 0x3FF0000000000000, 0xBFF0000000000000,
        0x7FF0000000000000, 0x7FF8000000000000, 0x7FF0000000000001, 0x0000000000000001,
        0x7FEFFFFFFFFFFFFF, 0x4059000000000000, 0x3F50624DD2F1A9FC, 0x0010000000000000};
    static constexpr std::array<uint32_t, 8> kSingles = {0x3F800000, 0xBF800000, 0x7F800000,
                                                         0x7FC00000, 0x00000001, 0x7F7FFFFF,
                                                         0x42C80000, 0x3A83126F};
    for (size_t at = 0; at + 8 <= size; at += 8) {
        uint64_t value = random.bits();
        if (random.chance(35)) value = random.pick(kDoubles);
        if (random.chance(25)) value = random.pick(kSingles) | value << 32;
        std::memcpy(to + at, &value, sizeof(value));
    }
}

void Builder::fill_data() {
    put_float_patterns(random_, &image_.bytes()[kData], kDataPages * kPage);
    put_float_patterns(random_, &image_.bytes()[kLargePage], 64 * kPage);
}

// MOV EAX, n; a few register instructions; RET: another n and others on the second page.
void Builder::fill_remap_pages() {
    static constexpr uint8_t kSome[][2] = {{0x01, 0xC1}, {0xF7, 0xD0}, {0x31, 0xC2}, {0x11, 0xC0}};
    for (uint64_t page = 0; page < 2; ++page) {
        const auto part = std::span(image_.bytes()).subspan(kRemapPages + page * kPage, 128);
        Assembler a(part, 0);
        a.emit(ZYDIS_MNEMONIC_MOV, {reg(ZYDIS_REGISTER_EAX), imm(random_.below(1U << 31))});
        for (uint64_t i = 0; i <= page; ++i)
            a.emit_bytes(std::span(kSome[random_.chance(50) ? 1 : 3]));
        a.emit(ZYDIS_MNEMONIC_RET);
    }
}

// Code that works wherever it stands: registers only.
void Builder::make_templates(Stream& stream) {
    for (unsigned i = 0; i < kTemplates; ++i) {
        const uint64_t start = code_.offset();
        for (unsigned j = 0; j < 3; ++j) {
            const unsigned r = stream.free_gpr();
            code_.emit(random_.pick({ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_ADC}),
                       {reg(gpr(r)), stream.immediate(4)});
        }
        code_.emit(ZYDIS_MNEMONIC_RET);
        templates_.emplace_back(start, code_.offset() - start);
    }
}

// What SYSCALL reaches, in the kernel's window onto the same code.
void Builder::make_kernel_functions() {
    code_.rebase(kKernelWindow + kCode);
    Stream stream(code_, random_, program_.settings, true, false);
    stream.budget = 0;
    stream.repeats = kRepeatsOfFunctions;
    Flow flow(stream, encodings_);
    for (unsigned i = 0; i < kKernelFunctions; ++i) {
        image_.put(kSyscalls + i * 8, code_.here());
        if (i == kRemapFunction) emit_remap_function(stream);
        stream.load_pointers();
        if (random_.chance(70)) emit_system(stream);
        flow.statements(1 + static_cast<unsigned>(random_.below(2)), Stream::kMaxDepth);
        code_.emit(ZYDIS_MNEMONIC_RET);
    }
}

// Each may call those before it.
void Builder::make_functions(Stream& stream) {
    Flow flow(stream, encodings_);
    stream.repeats = kRepeatsOfFunctions;
    const uint64_t budget = std::exchange(stream.budget, 0);
    std::vector<uint64_t> functions;
    for (unsigned i = 0; i < kFunctions; ++i) {
        functions.push_back(flow.function());
        image_.put(kControl + kControlTable + i * 8, functions.back());
        if (i < 3) stream.functions = functions;
    }
    stream.functions = functions;
    stream.budget = budget;
    stream.repeats = 1;
}

// Where to go on when control is lost: the next part.
void Builder::begin_part(Stream& stream, Label next) {
    code_.lea(ZYDIS_REGISTER_RAX, next);
    stream.mov(at(8, stream.window() + kControl + kControlResume), reg(ZYDIS_REGISTER_RAX));
    stream.load_pointers();
    if (random_.chance(40)) {
        stream.emit(ZYDIS_MNEMONIC_FNINIT);
        stream.emit(ZYDIS_MNEMONIC_LDMXCSR,
                    {mem(4, ZYDIS_REGISTER_RSP, 0)});  // see fill_registers()
    }
}

void Builder::make_parts(Stream& stream) {
    Flow flow(stream, encodings_);
    const uint64_t wanted = 3 + random_.below(StreamGenerator::kMaxParts - 2);
    const uint64_t count = std::min(wanted, parts_);
    Label next = code_.make_label();
    for (uint64_t i = 0; i < count; ++i) {
        code_.bind(next);
        next = code_.make_label();
        begin_part(stream, next);
        flow.statements(3 + static_cast<unsigned>(random_.below(8)), 0);
        if (random_.chance(25)) code_.emit(ZYDIS_MNEMONIC_INT, {imm(kCheckpointVector)});
    }
    code_.bind(next);
    code_.emit(ZYDIS_MNEMONIC_INT, {imm(kExitVector)});
}

void Builder::copy_notes() {
    const CodeNotes& notes = code_.notes();
    std::copy(notes.lengths.begin(), notes.lengths.end(), &image_.bytes()[kLengths]);
    std::copy(notes.flag_masks.begin(), notes.flag_masks.end(), &image_.bytes()[kFlagMasks]);
}

void Builder::fill_registers() {
    x86::RegisterState& s = program_.state;
    for (unsigned i = 0; i < s.gpr.size(); ++i) {
        if (i != x86::kRsp) s.gpr[i] = random_.integer();
    }
    s.rflags |= random_.bits() & x86::kArithmeticFlags;
    auto* xsave = reinterpret_cast<uint8_t*>(s.xsave.data());
    put_float_patterns(random_, xsave + 160, 256);
    put_float_patterns(random_, xsave + x86::kXsaveAvxOffset,
                       x86::kXsaveSize - x86::kXsaveAvxOffset);
    const uint16_t control = 0x37F;
    std::memcpy(xsave, &control, sizeof(control));
    uint32_t mxcsr = 0x1F80;
    if (random_.chance(40)) mxcsr |= static_cast<uint32_t>(random_.bits() & 0xE040);
    if (program_.settings.simd_exceptions) mxcsr = static_cast<uint32_t>(random_.bits() & 0xFFC0);
    std::memcpy(xsave + 24, &mxcsr, sizeof(mxcsr));
    uint64_t present = conformance::offered_components();
    if (random_.chance(50)) present &= ~uint64_t{x86::kXcr0ZmmHigh};
    std::memcpy(xsave + x86::kXsaveLegacySize, &present, sizeof(present));
    image_.put(kStack + kStackSize - 0x40, uint64_t{mxcsr});  // where RSP points
}

void Builder::build() {
    choose_settings();
    fill_data();
    build_page_tables(image_, random_);
    build_kernel(image_, program_.settings);
    fill_remap_pages();
    make_kernel_functions();
    code_.rebase(program_.settings.window() + kCode);
    Stream stream(code_, random_, program_.settings, program_.settings.supervisor, true);
    make_templates(stream);
    stream.templates = templates_;
    make_functions(stream);
    program_.state = initial_state(image_, program_.settings, code_.here());
    fill_registers();
    make_parts(stream);
    code_.finish();
    copy_notes();
}

}  // namespace

Program StreamGenerator::make(uint64_t number, uint64_t parts) {
    Program program;
    program.seed = seed_;
    program.number = number;
    Builder(program, encodings_, parts).build();
    return program;
}

}  // namespace banyan::lockstep
