; Two CPUs: INIT and start-up IPIs (Intel SDM vol. 3 section 9.4.4), IPIs between them, locked instructions (9.1.2), and
; cross-modifying code (9.1.3).
; run: --cpus 2
%include "common.inc"

APIC equ 0xFEE00000
APIC_ID equ APIC + 0x20
APIC_EOI equ APIC + 0xB0
APIC_SVR equ APIC + 0xF0
ICR_LOW equ APIC + 0x300
ICR_HIGH equ APIC + 0x310
INIT equ 0x4500
STARTUP equ 0x4600
FIXED equ 0x4000
PING equ 0x41
PONG equ 0x42
WAKE equ 0x43
ROUNDS equ 20000

%macro SEND 2          ; APIC id, low half of the ICR
    mov dword [ICR_HIGH], (%1) << 24
    mov dword [ICR_LOW], %2
%endmacro
%macro WAIT_FOR 2      ; until the variable has the value
%%wait:
    pause
    cmp dword [%1], %2
    jne %%wait
%endmacro
; Sleeps until the other CPU has carried out its order. To spin instead costs a time slice of the host a round where the
; host has fewer CPUs than the guest.
%macro WAIT_UNTIL_DONE 0
%%wait:
    cli
    cmp dword [done], 1
    je %%done
    sti
    hlt
    jmp %%wait
%%done:
%endmacro

; --- the other CPU starts here, in real mode at 0x8000 ---------------------------------------------------------------
section .low
bits 16
start_up:
    mov ax, cs
    mov [cs:started_cs - start_up], ax
    mov ds, ax
    o32 lgdt [low_gdt_pointer - start_up]
    mov eax, cr0
    mov [started_cr0 - start_up], eax
    or eax, 1
    mov cr0, eax
    jmp dword KERNEL_CS:second_cpu
low_gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
started_cs: dw 0xFFFF
started_cr0: dd -1

section .text
bits 32
extern low_start, low_end, low_image
second_cpu:
    mov ax, KERNEL_DS
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, second_stack_top
    lidt [idt_pointer]
    mov dword [APIC_SVR], 0x1FF
    mov eax, [APIC_ID]
    shr eax, 24
    mov [second_id], eax
    inc dword [starts]
; Waits for orders: a routine's address in [order].
.orders:
    cli
    mov eax, [order]
    test eax, eax
    jnz .ordered
    sti
    hlt
    jmp .orders
.ordered:
    sti
    mov dword [order], 0
    call eax
    inc dword [done]
    SEND 0, FIXED + WAKE
    jmp .orders

; EAX: what the other CPU shall do.
give_order:
    mov dword [done], 0
    mov [order], eax
    SEND 1, FIXED + WAKE
    ret

test_main:
    mov al, 0xFF
    out 0x21, al
    out 0xA1, al
    GATE PING, ping_handler, 0x8E
    GATE WAKE, wake_handler, 0x8E
    GATE PONG, pong_handler, 0x8E
    mov dword [APIC_SVR], 0x1FF
    call start_second
    call atomics
    call exchange
    call ping_pong
    call cross_modify
    call init_again
    ret

ping_handler:
    lock inc dword [pings]
    mov dword [APIC_EOI], 0
    iretd
wake_handler:
    mov dword [APIC_EOI], 0
    iretd
pong_handler:
    lock inc dword [pongs]
    mov dword [APIC_EOI], 0
    iretd

start_second:
    mov esi, low_image
    mov edi, low_start
    mov ecx, low_end
    sub ecx, low_start
    rep movsb
    SEND 1, INIT
    EXPECT_EQ [starts], 0, 'INIT alone starts nothing'
    SEND 1, STARTUP + (0x8000 >> 12)
    WAIT_FOR starts, 1
    SEND 1, STARTUP + (0x8000 >> 12)   ; not waiting for it any more: ignored
    EXPECT_EQ [second_id], 1, 'APIC id of the second CPU'
    movzx ecx, word [started_cs]
    EXPECT_EQ ecx, 0x800, 'CS after a start-up IPI'
    mov ecx, [started_cr0]
    and ecx, 0x80000001
    EXPECT_EQ ecx, 0, 'PE and PG after a start-up IPI'
    mov ecx, 0x1B                      ; IA32_APIC_BASE
    rdmsr
    and eax, 0x100
    mov ecx, eax
    EXPECT_EQ ecx, 0x100, 'BSP flag of the first CPU'
    EXPECT_EQ [starts], 1, 'a second start-up IPI'
    ret

; Both count in one word, in ways that lose counts if any is not atomic.
count_together:
    mov ecx, ROUNDS
.again:
    lock inc dword [counter]
    mov eax, 1
    lock xadd [counter + 4], eax
    lock add dword [over_line], 3
.try:
    mov eax, [counter + 8]
    lea edx, [eax + 1]
    lock cmpxchg [counter + 8], edx
    jne .try
    loop .again
    ret
atomics:
    mov eax, count_together
    call give_order
    call count_together
    WAIT_UNTIL_DONE
    EXPECT_EQ [counter], 2 * ROUNDS, 'LOCK INC by two CPUs'
    EXPECT_EQ [counter + 4], 2 * ROUNDS, 'LOCK XADD by two CPUs'
    EXPECT_EQ [counter + 8], 2 * ROUNDS, 'LOCK CMPXCHG by two CPUs'
    EXPECT_EQ [over_line], 6 * ROUNDS, 'LOCK ADD over a cache line'
    ret

; A lock by XCHG that guards plain increments.
guarded:
    mov ecx, ROUNDS / 4
.again:
    mov eax, 1
.spin:
    xchg eax, [spin_lock]
    test eax, eax
    jz .mine
    pause
    mov eax, 1
    jmp .spin
.mine:
    inc dword [guarded_counter]
    inc dword [guarded_counter + 64]
    mov dword [spin_lock], 0
    loop .again
    ret
exchange:
    mov eax, guarded
    call give_order
    call guarded
    WAIT_UNTIL_DONE
    EXPECT_EQ [guarded_counter], ROUNDS / 2, 'increments under a lock by XCHG'
    EXPECT_EQ [guarded_counter + 64], ROUNDS / 2, 'the second counter under the lock'
    ret

; IPIs there and back, both asleep between them.
answer:
    mov ecx, 100
    mov esi, 0
.again:
    inc esi
.wait:
    cli
    cmp [pings], esi
    jae .arrived
    sti
    hlt
    jmp .wait
.arrived:
    sti
    SEND 0, FIXED + PONG
    loop .again
    ret
ping_pong:
    mov eax, answer
    call give_order
    mov ecx, 100
    mov esi, 0
.again:
    inc esi
    SEND 1, FIXED + PING
.wait:
    cli
    cmp [pongs], esi
    jae .arrived
    sti
    hlt
    cli
    jmp .wait
.arrived:
    loop .again
    WAIT_UNTIL_DONE
    EXPECT_EQ [pongs], 100, 'answers to IPIs'
    ret

; Both run a routine that this one rewrites. The other serialises by the IRET of the IPI that tells it to run, and by CPUID.
run_changing:
    xor eax, eax
    cpuid
    call changing
    mov [result], eax
    ret
cross_modify:
    mov ebx, 1
.again:
    mov [changing + 1], ebx
    mov eax, run_changing
    call give_order
    WAIT_UNTIL_DONE
    EXPECT_EQ [result], ebx, 'code that the other CPU wrote'
    call changing
    EXPECT_EQ eax, ebx, 'code that both CPUs run'
    inc ebx
    cmp ebx, 200
    jbe .again
    ret

; INIT stops the other CPU wherever it is; a start-up IPI starts it anew.
spin:
    mov dword [spinning], 1
    jmp $
init_again:
    mov eax, spin
    call give_order
    WAIT_FOR spinning, 1
    SEND 1, INIT
    SEND 1, STARTUP + (0x8000 >> 12)
    WAIT_FOR starts, 2
    mov dword [counter], 0
    mov eax, count_together
    call give_order
    WAIT_UNTIL_DONE
    EXPECT_EQ [counter], ROUNDS, 'work after a second start'
    ret

section .data
align 4096
changing:                              ; MOV EAX, imm32; RET
    db 0xB8
    dd 0
    ret

section .bss
alignb 4096
    resb 4096
second_stack_top:
counter: resd 16
over_line_pad: resb 64 - 2
over_line: resd 1
alignb 64
guarded_counter: resd 32
spin_lock: resd 1
alignb 64
second_id: resd 1
starts: resd 1
order: resd 1
done: resd 1
pings: resd 1
pongs: resd 1
result: resd 1
spinning: resd 1
