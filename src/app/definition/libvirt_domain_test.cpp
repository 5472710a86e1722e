#include "app/definition/libvirt_domain.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using Texts = std::vector<std::string>;

// As virt-install and virsh dumpxml write them.
constexpr std::string_view kDebian = R"(<?xml version='1.0'?>
<domain type='kvm' id='3'>
  <name>debian12</name>
  <uuid>b1c5c1a0-0000-4000-8000-000000000000</uuid>
  <metadata><x:y xmlns:x="http://x">1</x:y></metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <resource><partition>/machine</partition></resource>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <nvram>/var/lib/libvirt/qemu/nvram/debian12_VARS.fd</nvram>
    <boot dev='hd'/>
    <boot dev='cdrom'/>
  </os>
  <features><acpi/><apic/><smm state='on'/></features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/></clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/var/lib/libvirt/images/debian12.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <serial>root</serial>
      <iotune><total_iops_sec>500</total_iops_sec></iotune>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw'/>
      <source dev='/dev/vg0/data'/>
      <target dev='sda' bus='sata'/>
      <readonly/>
    </disk>
    <disk type='file' device='cdrom'>
      <source file='/srv/debian.iso'/>
      <target dev='sdb' bus='sata'/>
      <readonly/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sdc' bus='sata'/></disk>
    <filesystem type='mount'>
      <driver type='virtiofs'/><source dir='/srv/share'/><target dir='host'/>
    </filesystem>
    <interface type='network'>
      <mac address='52:54:00:12:34:56'/>
      <source network='default'/>
      <model type='e1000e'/>
    </interface>
    <interface type='bridge'><source bridge='br0'/></interface>
    <serial type='pty'/><console type='pty'/>
    <graphics type='vnc' port='-1' autoport='yes'/>
    <video><model type='qxl'/></video>
    <sound model='ich9'/>
    <sound model='ac97'/>
    <watchdog model='itco' action='reset'/>
    <memballoon model='virtio'/>
    <rng model='virtio'/>
    <vsock model='virtio'><cid auto='no' address='5'/></vsock>
  </devices>
</domain>)";

TEST(LibvirtDomain, MapsWhatThereIs) {
    const auto read = import_libvirt("f", kDebian);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->definition.name, "debian12");
    EXPECT_EQ(read->definition.directory, "/");
    EXPECT_EQ(nlohmann::json(read->definition.options),
              nlohmann::json(
                  {{"memory", "2097152K"},
                   {"balloon", "1048576K"},
                   {"cpus", "2"},
                   {"machine", "pc"},
                   {"firmware", "uefi"},
                   {"boot", "disk"},
                   {"disk", Texts{"/var/lib/libvirt/images/debian12.qcow2,format=qcow2,cache=none,"
                                  "bus=virtio,serial=root,iops=500",
                                  "/dev/vg0/data,format=raw,bus=ahci,readonly=on"}},
                   {"cdrom", Texts{"/srv/debian.iso"}},
                   {"share", Texts{"/srv/share:host"}},
                   {"net", Texts{"nat,model=e1000e,mac=52:54:00:12:34:56", "nat"}},
                   {"display", "vnc"},
                   {"vga", "on"},
                   {"watchdog", "reset"},
                   {"vsock", "5"}}));
    EXPECT_EQ(read->ignored,
              (Texts{"metadata", "os/nvram", "features/smm", "devices/disk without a file",
                     "devices/interface/source (it gets a NAT)", "devices/sound"}));
}

TEST(LibvirtDomain, StartsAKernelDirectly) {
    const auto read = import_libvirt("f", R"(<domain type='qemu'><name>k</name>
        <memory unit='MiB'>128</memory><os><type>hvm</type><kernel>/k</kernel>
        <initrd>/i</initrd><cmdline>console=ttyS0 a=&quot;b&quot;</cmdline></os>
        <on_reboot>destroy</on_reboot></domain>)");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(nlohmann::json(read->definition.options),
              nlohmann::json({{"engine", "soft"},
                              {"memory", "131072K"},
                              {"machine", "pc"},
                              {"kernel", "/k"},
                              {"append", "console=ttyS0 a=\"b\""},
                              {"initrd", Texts{"/i"}},
                              {"no-reboot", true},
                              {"net", Texts{"none"}}}));
    EXPECT_TRUE(read->ignored.empty());
}

TEST(LibvirtDomain, WhatNoVmCanBeMadeOfIsRefused) {
    for (const char* const text :
         {"", "<domain>", "<network/>", "<domain><memory unit='nibbles'>1</memory></domain>",
          "<domain><memory>much</memory></domain>",
          "<domain><memory unit='T'>99999999999999</memory></domain>",
          "<domain><os><type arch='aarch64'>hvm</type></os></domain>",
          "<domain><devices><disk type='file'><source file='/a,b'/></disk></devices></domain>"}) {
        const auto read = import_libvirt("f.xml", text);
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code(), ErrorCode::invalid_data);
        EXPECT_NE(read.error().text().find("'f.xml'"), std::string::npos);
    }
}

TEST(LibvirtDomain, EntitiesAreNotFollowed) {
    const auto read = import_libvirt("f", R"(<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">
        <!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><domain><name>&e;x&b;</name></domain>)");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->definition.name, "x");
}

}  // namespace
}  // namespace banyan
