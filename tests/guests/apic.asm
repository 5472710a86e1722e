; The local APIC as a CPU sees it: Intel SDM vol. 3 sections 11.5.4 (timer), 11.6.1 (self IPI), 11.8 (priorities);
; qemu: TCG has no TSC deadline
; HLT, STI shadows and NMI.
%include "common.inc"

APIC equ 0xFEE00000
APIC_TPR equ APIC + 0x80
APIC_PPR equ APIC + 0xA0
APIC_EOI equ APIC + 0xB0
APIC_SVR equ APIC + 0xF0
APIC_ISR equ APIC + 0x100
APIC_IRR equ APIC + 0x200
APIC_ICR equ APIC + 0x300
APIC_TIMER equ APIC + 0x320
APIC_INITIAL equ APIC + 0x380
APIC_CURRENT equ APIC + 0x390
APIC_DIVIDE equ APIC + 0x3E0
SELF equ 1 << 18
PERIODIC equ 1 << 17
DEADLINE equ 2 << 17
MASKED equ 1 << 16
NMI equ 4 << 8
TSC_DEADLINE equ 0x6E0
LOW equ 0x41           ; vectors of the test
HIGH equ 0x61

section .text
test_main:
    ; The 8259s keep quiet.
    mov al, 0xFF
    out 0x21, al
    out 0xA1, al
    GATE LOW, low_handler, 0x8E
    GATE HIGH, high_handler, 0x8E
    GATE 2, nmi_handler, 0x8E
    mov dword [APIC_SVR], 0x1FF
    mov dword [APIC_TPR], 0
    mov dword [APIC_DIVIDE], 0x0B      ; by 1
    call self_ipi
    call halt
    call shadows
    call priorities
    call nmi
    call one_shot
    call periodic
    call deadline
    ret

low_handler:
    inc dword [low_count]
    mov dword [APIC_EOI], 0
    iretd
high_handler:
    inc dword [high_count]
    mov dword [APIC_EOI], 0
    iretd

%macro IPI 1
    mov dword [APIC_ICR], SELF + %1
%endmacro

; Pending while IF is clear, taken after STI and the instruction behind it.
self_ipi:
    IPI LOW
    EXPECT_EQ [low_count], 0, 'IPI while IF is clear'
    EXPECT_EQ [APIC_IRR + (LOW / 32) * 16], 1 << (LOW % 32), 'IRR of an IPI that waits'
    sti
    nop
    nop
    EXPECT_EQ [low_count], 1, 'IPI after STI'
    IPI LOW
.wait:
    cmp dword [low_count], 2           ; it may come some instructions later
    jb .wait
    cli
    EXPECT_EQ [APIC_IRR + (LOW / 32) * 16], 0, 'IRR after delivery'
    EXPECT_EQ [APIC_ISR + (LOW / 32) * 16], 0, 'ISR after EOI'
    ret

; STI and HLT: the interrupt that waits comes after HLT, not before, and wakes it.
halt:
    mov dword [low_count], 0
    IPI LOW
    sti
    hlt
    cli
    EXPECT_EQ [low_count], 1, 'HLT that an interrupt ends'
    ret

; STI and MOV SS: nothing is taken in front of the next instruction.
shadows:
    GATE LOW, record_handler, 0x8E
    IPI LOW
    sti
.shadow:
    nop
.after:
    cli
    EXPECT_EQ [recorded_eip], .after, 'shadow of STI'
    IPI LOW
    sti
    cli
    EXPECT_EQ [low_recorded], 1, 'STI and CLI leave no room'
    sti
    nop
    EXPECT_EQ [low_recorded], 2, 'the interrupt after the next STI'
    ; POPF opens at once.
    cli
    IPI LOW
    pushfd
    or dword [esp], 0x200
    popfd
.after_popf:
    nop
    cli
    EXPECT_EQ [recorded_eip], .after_popf, 'POPF has no shadow'
    GATE LOW, low_handler, 0x8E
    ret
record_handler:
    push eax
    mov eax, [esp + 4]
    mov [recorded_eip], eax
    inc dword [low_recorded]
    mov dword [APIC_EOI], 0
    pop eax
    iretd

priorities:
    mov dword [low_count], 0
    mov dword [high_count], 0
    mov dword [APIC_TPR], 0x50
    IPI LOW
    IPI HIGH
    sti
    nop
    nop
    cli
    EXPECT_EQ [high_count], 1, 'interrupt above the task priority'
    EXPECT_EQ [low_count], 0, 'interrupt below the task priority'
    EXPECT_EQ [APIC_PPR], 0x50, 'processor priority'
    mov dword [APIC_TPR], 0
    sti
    nop
    nop
    cli
    EXPECT_EQ [low_count], 1, 'interrupt after the task priority fell'
    ret

; An NMI comes with IF clear; a second one waits for the IRET of the first, and is one however many came.
nmi:
    mov dword [APIC_ICR], SELF + NMI
.wait:
    cmp dword [nmi_count], 2
    jb .wait
    mov ecx, 1000
.more:
    loop .more
    EXPECT_EQ [nmi_count], 2, 'NMIs, the second sent by the first handler'
    EXPECT_EQ [nmi_nested], 0, 'NMI inside an NMI handler'
    ret
nmi_handler:
    push ecx
    inc dword [nmi_depth]
    inc dword [nmi_count]
    cmp dword [nmi_depth], 1
    je .alone
    inc dword [nmi_nested]
.alone:
    cmp dword [nmi_count], 1
    jne .done
    mov dword [APIC_ICR], SELF + NMI
    mov dword [APIC_ICR], SELF + NMI
    mov ecx, 1000
.stay:
    loop .stay
.done:
    dec dword [nmi_depth]
    pop ecx
    iretd

one_shot:
    mov dword [low_count], 0
    mov dword [APIC_TIMER], LOW
    mov dword [APIC_INITIAL], 100000
    sti
.wait:
    hlt
    cmp dword [low_count], 1
    jb .wait
    cli
    EXPECT_EQ [APIC_CURRENT], 0, 'count of a timer that is done'
    mov dword [APIC_INITIAL], 0x7FFFFFFF
    mov ecx, [APIC_CURRENT]
    cmp ecx, 0x7FFFFFFF
    setbe cl
    movzx ecx, cl
    EXPECT_EQ ecx, 1, 'count of a timer that runs'
    mov dword [APIC_INITIAL], 0
    EXPECT_EQ [APIC_CURRENT], 0, 'count of a timer that was stopped'
    ret

periodic:
    mov dword [low_count], 0
    mov dword [APIC_TIMER], LOW + PERIODIC
    mov dword [APIC_INITIAL], 1000000
    sti
.wait:
    hlt
    cmp dword [low_count], 5
    jb .wait
    cli
    mov dword [APIC_TIMER], LOW + PERIODIC + MASKED
    mov dword [APIC_INITIAL], 0
    ret

deadline:
    mov dword [low_count], 0
    mov dword [APIC_TIMER], LOW + DEADLINE
    mfence                             ; section 11.5.4.1: between the MMIO write and the WRMSR
    rdtsc
    add eax, 1000000
    adc edx, 0
    mov esi, eax
    mov edi, edx
    mov ecx, TSC_DEADLINE
    wrmsr
    rdmsr
    mov ecx, edx
    EXPECT_EQ ecx, edi, 'TSC deadline reads back'
    sti
.wait:
    hlt
    cmp dword [low_count], 1
    jb .wait
    rdtsc
    cli
    sub eax, esi
    sbb edx, edi
    mov ecx, edx
    shr ecx, 31
    EXPECT_EQ ecx, 0, 'a deadline interrupt before its time'
    mov ecx, TSC_DEADLINE
    rdmsr
    or eax, edx
    mov ecx, eax
    EXPECT_EQ ecx, 0, 'TSC deadline after its interrupt'
    ret

section .bss
low_count: resd 1
high_count: resd 1
low_recorded: resd 1
recorded_eip: resd 1
nmi_count: resd 1
nmi_depth: resd 1
nmi_nested: resd 1
