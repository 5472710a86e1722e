; INIT and start-up IPIs again and again (Intel SDM vol. 3 sections 9.4.4 and 11.4.7.3), whatever their target does: it
; runs loops, faults, changes its own code, sleeps, or is in a handler.
; cpus: 2 4
; qemu: its CPUs go on for a while after INIT
%include "smp64.inc"

ROUNDS equ 60
OWN equ 0x1000000                      ; a page of code for each CPU

section .bss
alignb 64
arrivals: resd 1                       ; of CPUs that were started again
alignb 64
beats: resq CPUS * 8                   ; what each CPU counts, 64 bytes apart
round: resd 1

section .text
; The other CPUs: something else each time, for ever. R13: where to count.
work:
    mov r13d, r15d
    shl r13d, 6
    add r13d, beats
    lock inc dword [arrivals]
    mov eax, [round]
    add eax, r15d
    and eax, 3
    cmp eax, 1
    je .own_code
    cmp eax, 2
    je .asleep
    cmp eax, 3
    je .in_handler
.count:
    lock inc qword [r13]
    inc qword [r13 + 8]
    jmp .count
.own_code:
    mov edi, r15d
    shl edi, 12
    add edi, OWN
    mov byte [rdi], 0xB8
    mov byte [rdi + 5], 0xC3
.change:
    inc dword [rdi + 1]
    call rdi
    inc qword [r13]
    jmp .change
.asleep:
    inc qword [r13]
    sti
    hlt
    jmp .asleep
.in_handler:
    int 0x50
    jmp .in_handler
handler:
    inc qword [r13]
    sti
    nop
    cli
    iretq

start_again:                           ; EBP: which
    mov eax, [arrivals]
    lea r12d, [rax + 1]
    SEND_TO ebp, INIT
    SEND_TO ebp, STARTUP
    SEND_TO ebp, STARTUP               ; as old processors want it; or it comes too late and is ignored
.wait:
    pause
    cmp [arrivals], r12d
    jne .wait
    ret

; Stopped, the CPU EBP counts no more and is not started. A thread that the host has put aside learns of INIT late.
TRIES equ 500
check_stopped:
    mov esi, ebp
    shl esi, 6
    mov edi, TRIES
.try:
    mov rbx, [rsi + beats]
    mov r12d, [arrivals]
    mov ecx, 20000
.wait:
    pause
    dec ecx
    jnz .wait
    cmp rbx, [rsi + beats]
    jne .again
    cmp r12d, [arrivals]
    jne .again
    ret
.again:
    dec edi
    jnz .try
    mov rax, [rsi + beats]
    mov rdx, rbx
    mov esi, .name
    jmp failed64
.name: db 'work behind INIT', 0

each_round:
    mov ebp, 1
.next:
    call start_again
    inc ebp
    cmp ebp, CPUS
    jb .next
    ret

cpu_main:
    INTERRUPT 0x50, handler
    mov dword [other_cpus_go_to], work
.again:
    call each_round
    inc dword [round]
    cmp dword [round], ROUNDS
    jb .again
    mov ebp, CPUS - 1
    mov dword [round], 0
.stop:
    call start_again
    SEND_TO ebp, INIT
    SEND_TO ebp, STARTUP
    SEND_TO ebp, INIT
    call check_stopped
    inc dword [round]
    cmp dword [round], ROUNDS
    jb .stop
    ret
