// kvm_loop: the least that can run a guest by KVM, to hold Banyan's exits against: a multiboot image
// (ELF, 32 bits) on one vCPU, and a loop that answers every access with zeroes.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <vector>

namespace {

constexpr size_t kMemory = 64 << 20;
constexpr uint16_t kExitPort = 0xF4;
constexpr uint16_t kDebugPort = 0xE9;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

int call(int fd, unsigned long request, void* argument) {
    const int result = ::ioctl(fd, request, argument);
    if (result < 0) fail("ioctl");
    return result;
}

int call(int fd, unsigned long request) {
    return call(fd, request, nullptr);
}

std::vector<uint8_t> read_file(const char* path) {
    FILE* const file = std::fopen(path, "rb");
    if (file == nullptr) fail(path);
    std::vector<uint8_t> bytes(1 << 20);
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
    std::fclose(file);
    return bytes;
}

// Returns where it begins.
uint32_t load(const std::vector<uint8_t>& image, uint8_t* memory) {
    Elf32_Ehdr header;
    std::memcpy(&header, image.data(), sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Elf32_Phdr segment;
        std::memcpy(&segment, &image[header.e_phoff + i * sizeof(segment)], sizeof(segment));
        if (segment.p_type != PT_LOAD) continue;
        std::copy_n(&image[segment.p_offset], segment.p_filesz, memory + segment.p_paddr);
    }
    return header.e_entry;
}

kvm_segment flat(uint16_t selector, uint8_t type) {
    kvm_segment segment{};
    segment.limit = 0xFFFFFFFF;
    segment.selector = selector;
    segment.type = type;
    segment.present = segment.s = segment.db = segment.g = 1;
    return segment;
}

// Protected mode without paging, as multiboot wants it.
void set_registers(int vcpu, uint32_t entry) {
    kvm_sregs system{};
    call(vcpu, KVM_GET_SREGS, &system);
    system.cs = flat(0x08, 11);
    system.ds = system.es = system.fs = system.gs = system.ss = flat(0x10, 3);
    system.cr0 |= 1;
    call(vcpu, KVM_SET_SREGS, &system);
    kvm_regs general{};
    general.rip = entry;
    general.rflags = 2;
    call(vcpu, KVM_SET_REGS, &general);
}

// False: the guest has ended.
bool do_port(kvm_run& run) {
    auto* const data = reinterpret_cast<uint8_t*>(&run) + run.io.data_offset;
    if (run.io.direction == KVM_EXIT_IO_IN) {
        *data = 0;
        return true;
    }
    if (run.io.port == kDebugPort) std::putchar(*data);
    return run.io.port != kExitPort;
}

void run_guest(int vcpu, kvm_run& run) {
    for (;;) {
        call(vcpu, KVM_RUN);
        switch (run.exit_reason) {
            case KVM_EXIT_IO:
                if (!do_port(run)) return;
                break;
            case KVM_EXIT_MMIO: std::memset(run.mmio.data, 0, sizeof(run.mmio.data)); break;
            default: std::fprintf(stderr, "exit %u\n", run.exit_reason); std::exit(1);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: kvm_loop IMAGE\n", stderr);
        return 2;
    }
    const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) fail("/dev/kvm");
    const int vm = call(kvm, KVM_CREATE_VM);
    void* const memory = ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    const uint32_t entry = load(read_file(argv[1]), static_cast<uint8_t*>(memory));
    kvm_userspace_memory_region region{};
    region.memory_size = kMemory;
    region.userspace_addr = reinterpret_cast<uint64_t>(memory);
    call(vm, KVM_SET_USER_MEMORY_REGION, &region);
    // Local APICs in the kernel, as every monitor has them: KVM_RUN does more with them.
    kvm_enable_cap split{};
    split.cap = KVM_CAP_SPLIT_IRQCHIP;
    split.args[0] = 24;
    call(vm, KVM_ENABLE_CAP, &split);
    const int vcpu = call(vm, KVM_CREATE_VCPU);
    const int size = call(kvm, KVM_GET_VCPU_MMAP_SIZE);
    void* const shared =
        ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (shared == MAP_FAILED) fail("mmap");
    set_registers(vcpu, entry);
    run_guest(vcpu, *static_cast<kvm_run*>(shared));
    return 0;
}
