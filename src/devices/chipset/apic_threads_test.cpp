// The APICs from several threads at once; meant for the thread sanitizer. No sleeps: every loop
// ends when its interrupts have arrived.
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

#include "devices/chipset/ioapic.hpp"
#include "devices/chipset/local_apic_rig.hpp"
#include "snapshot/state.hpp"

namespace banyan {
namespace {

using R = ApicRegister;

constexpr unsigned kSenders = 3;
constexpr unsigned kRounds = 2000;

// What a vCPU thread does: sees the signal or the flag, takes, ends.
template <class Handle>
void take_interrupts(ApicRig& rig, unsigned cpu, const std::atomic<bool>& stop, Handle handle) {
    while (!stop.load()) {
        if (!rig.apic(cpu).interrupt_pending()) {
            std::this_thread::yield();
            continue;
        }
        if (const auto vector = rig.acknowledge(cpu)) {
            handle(*vector);
            rig.eoi(cpu);
        }
    }
}

TEST(ApicThreads, NoIpiIsLostOrDoubled) {
    ApicRig rig(1 + kSenders);
    rig.enable_all();
    std::array<std::atomic<unsigned>, kSenders> received{};
    std::atomic<bool> stop{false};

    std::thread cpu0([&] {
        take_interrupts(rig, 0, stop, [&](uint8_t vector) { ++received[(vector >> 4) - 4]; });
    });
    std::vector<std::thread> senders;
    for (unsigned sender = 0; sender < kSenders; ++sender) {
        senders.emplace_back([&, sender] {
            for (unsigned round = 1; round <= kRounds; ++round) {
                rig.send_ipi(0, 0x4000 | (0x40 + 0x10 * sender), 1 + sender);
                while (received[sender].load() < round)
                    std::this_thread::yield();
            }
        });
    }
    for (std::thread& sender : senders)
        sender.join();
    stop = true;
    cpu0.join();

    for (const auto& count : received)
        EXPECT_EQ(count.load(), kRounds);
    EXPECT_GE(rig.signals[0]->interrupts, 1U);
}

// Each passes on what it gets to the next; at the start, each sends one. Two that meet merge, but
// one is always on its way.
TEST(ApicThreads, CpusMayInterruptEachOther) {
    constexpr unsigned kCpus = 3;
    ApicRig rig(kCpus);
    rig.enable_all();
    std::array<std::atomic<unsigned>, kCpus> received{};
    std::atomic<bool> stop{false};
    std::vector<std::thread> cpus;
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
        cpus.emplace_back([&, cpu] {
            const auto pass_on = [&] { rig.send_ipi((cpu + 1) % kCpus, 0x4041, cpu); };
            pass_on();
            take_interrupts(rig, cpu, stop, [&](uint8_t) {
                if (++received[cpu] == kRounds && cpu == 0) stop = true;
                pass_on();
            });
        });
    }
    for (std::thread& cpu : cpus)
        cpu.join();
    EXPECT_GE(received[0].load(), kRounds);
    EXPECT_GE(received[1].load(), kRounds - kCpus);
    EXPECT_GE(received[2].load(), kRounds - kCpus);
}

TEST(ApicThreads, LevelsAndEndsMeetInTheIoApic) {
    ApicRig rig(2);
    rig.enable_all();
    IoApic ioapic{{.msi = rig.bus}};
    rig.bus.add(ioapic);
    constexpr std::array<unsigned, 2> kInputs = {10, 11};
    for (unsigned i = 0; i < 2; ++i) {  // input 10 to CPU 0, 11 to CPU 1
        ASSERT_EQ(ioapic.mmio_write(0, 4, 0x11 + 2 * kInputs[i]), IoStatus::ok);
        ASSERT_EQ(ioapic.mmio_write(0x10, 4, i << 24), IoStatus::ok);
        ASSERT_EQ(ioapic.mmio_write(0, 4, 0x10 + 2 * kInputs[i]), IoStatus::ok);
        ASSERT_EQ(ioapic.mmio_write(0x10, 4, 0x8050 + 0x10 * i), IoStatus::ok);
    }
    std::array<std::atomic<unsigned>, 2> served{};
    std::atomic<bool> stop{false};
    std::vector<std::thread> cpus;
    for (unsigned cpu = 0; cpu < 2; ++cpu) {
        cpus.emplace_back([&, cpu] {
            take_interrupts(rig, cpu, stop, [&, cpu](uint8_t) {
                ioapic.set_irq(kInputs[cpu], false);
                ++served[cpu];
            });
        });
    }
    std::vector<std::thread> devices;
    for (unsigned i = 0; i < 2; ++i) {
        devices.emplace_back([&, i] {
            for (unsigned round = 1; round <= kRounds; ++round) {
                ioapic.set_irq(kInputs[i], true);
                while (served[i].load() < round)
                    std::this_thread::yield();
            }
        });
    }
    for (std::thread& device : devices)
        device.join();
    stop = true;
    for (std::thread& cpu : cpus)
        cpu.join();
    EXPECT_EQ(served[0].load(), kRounds);
    EXPECT_EQ(served[1].load(), kRounds);
}

// Broadcasts, lowest priority, NMIs and the timer while the receivers change their priority and
// mode: nothing to count but that all is well defined.
TEST(ApicThreads, EverythingAtOnce) {
    ApicRig rig(4);
    rig.enable_all();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned cpu = 0; cpu < 4; ++cpu) {
        threads.emplace_back([&, cpu] {
            for (unsigned i = 0; i < kRounds; ++i) {
                rig.write(R::ldr, 1U << (24 + cpu), cpu);
                rig.apic(cpu).write_cr8(static_cast<uint8_t>(i % 4));
                rig.send_ipi(0xFF, 0x4000 | 0x800 | (i % 2) << 8 | 0x61, cpu);
                rig.send_ipi(0, 0xC4400, cpu);
                if (rig.acknowledge(cpu)) rig.eoi(cpu);
            }
        });
    }
    threads.emplace_back([&] {
        while (!stop.load()) {
            rig.clock.advance(1000);
            for (const auto& apic : rig.apics)
                apic->on_timer(0);
            StateWriter writer;
            rig.apic(1).save(writer);
        }
    });
    for (unsigned cpu = 0; cpu < 4; ++cpu)
        threads[cpu].join();
    stop = true;
    threads.back().join();
    for (const auto& signals : rig.signals)
        EXPECT_EQ(signals->nmis, 3 * kRounds);
}

}  // namespace
}  // namespace banyan
