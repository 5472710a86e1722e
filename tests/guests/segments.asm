; Segment limits and rights: Intel SDM vol. 3 sections 5.3 to 5.5; privilege and gates: 5.8, 6.12.
; qemu: TCG does not check segment limits
%include "common.inc"

; GDT entries of the test.
SMALL_DS equ 0x30      ; 16 bytes at `area`, writable
READ_DS equ 0x38       ; the same, read only
DOWN_DS equ 0x40       ; expand-down above 0xF
ABSENT_DS equ 0x48     ; not present
EXEC_CS equ 0x50       ; code that cannot be read
CONFORM_CS equ 0x58    ; conforming code, ring 0
USER_SMALL_DS equ 0x68 ; 16 bytes at `area`, writable, ring 3
GATE_SEL equ 0x60      ; call gate to gate_target, DPL 3

section .data
align 16
area: times 64 db 0x5A
far_pointer: dd 0
    dw GATE_SEL

section .text
test_main:
    DESCRIPTOR SMALL_DS, area, 15, 0x92, 0x40
    DESCRIPTOR USER_SMALL_DS, area, 15, 0xF2, 0x40
    DESCRIPTOR READ_DS, area, 15, 0x90, 0x40
    DESCRIPTOR DOWN_DS, area, 15, 0x96, 0x40
    DESCRIPTOR ABSENT_DS, area, 15, 0x12, 0x40
    DESCRIPTOR EXEC_CS, 0, 0xFFFF, 0x98, 0xCF
    DESCRIPTOR CONFORM_CS, 0, 0xFFFF, 0x9E, 0xCF
    mov eax, gate_target
    mov [gdt + GATE_SEL], ax
    mov word [gdt + GATE_SEL + 2], KERNEL_CS
    mov word [gdt + GATE_SEL + 4], 0xEC00
    shr eax, 16
    mov [gdt + GATE_SEL + 6], ax

    ; Inside the limit, then across it: #GP(0), and nothing is written.
    mov ax, SMALL_DS
    mov fs, ax
    mov dword [fs:12], 0x11223344
    EXPECT_EQ [area + 12], 0x11223344, 'write inside a limit'
    CATCH .over
    mov dword [fs:13], 0xFFFFFFFF
.over:
    EXPECT_EQ [caught], 13, 'write over a limit'
    EXPECT_EQ [caught_error], 0, 'error code of a limit'
    EXPECT_EQ [area + 12], 0x11223344, 'bytes after a faulting write'
    mov al, [gdt + SMALL_DS + 5]
    and eax, 0xFF
    EXPECT_EQ eax, 0x93, 'accessed bit of a loaded descriptor'

    mov ax, READ_DS
    mov fs, ax
    EXPECT_EQ [fs:12], 0x11223344, 'read of a read-only segment'
    CATCH .read_only
    mov byte [fs:0], 1
.read_only:
    EXPECT_EQ [caught], 13, 'write to a read-only segment'

    ; Expand-down: offsets above the limit are the valid ones.
    mov ax, DOWN_DS
    mov fs, ax
    EXPECT_EQ [fs:16], 0x5A5A5A5A, 'read above an expand-down limit'
    CATCH .down
    mov eax, [fs:15]
.down:
    EXPECT_EQ [caught], 13, 'read at an expand-down limit'

    ; Loading: not present, beyond the table, execute-only, null into SS.
    CATCH .absent
    mov ax, ABSENT_DS
    mov fs, ax
.absent:
    EXPECT_EQ [caught], 11, 'load of an absent segment'
    EXPECT_EQ [caught_error], ABSENT_DS, 'error code of an absent segment'
    CATCH .beyond
    mov ax, 0x1F0
    mov fs, ax
.beyond:
    EXPECT_EQ [caught], 13, 'selector beyond the table'
    EXPECT_EQ [caught_error], 0x1F0, 'error code of a selector beyond the table'
    CATCH .executable
    mov ax, EXEC_CS
    mov fs, ax
.executable:
    EXPECT_EQ [caught], 13, 'data load of execute-only code'
    CATCH .null_stack
    xor eax, eax
    mov ss, ax
.null_stack:
    EXPECT_EQ [caught], 13, 'null selector into SS'
    CATCH .absent_stack
    mov ax, ABSENT_DS
    mov ss, ax
.absent_stack:
    EXPECT_EQ [caught], 12, 'absent segment into SS'

    ; A null data segment loads, and faults when used.
    xor eax, eax
    mov fs, ax
    CATCH .null
    mov eax, [fs:0]
.null:
    EXPECT_EQ [caught], 13, 'use of a null segment'

    ; A stack below its limit: #SS(0). In ring 3, so that the frame goes to a good stack.
    RING3 user_stack_limit, 12, 0, 'push below a stack segment'
    EXPECT_EQ [caught_eip], user_stack_limit.push, 'its return address'

    ; [EBP] and [ESP] mean SS.
    RING3 user_stack_read, 12, 0, 'read by EBP beyond a stack segment'

    ; LAR, LSL, VERR, VERW tell by ZF.
    mov eax, READ_DS
    lar ebx, eax
    EXPECT_EQ ebx, 0x00409100, 'LAR'
    mov eax, READ_DS
    lsl ebx, eax
    EXPECT_EQ ebx, 15, 'LSL'
    mov eax, READ_DS
    verw ax
    setz bl
    movzx ebx, bl
    EXPECT_EQ ebx, 0, 'VERW of a read-only segment'
    mov eax, READ_DS
    verr ax
    setz bl
    movzx ebx, bl
    EXPECT_EQ ebx, 1, 'VERR of a readable segment'

    ; Ring 3: privileged instructions, kernel selectors, INT through gates of both levels.
    CATCH .cli
    mov eax, user_cli
    jmp to_ring3
.cli:
    EXPECT_EQ [caught], 13, 'CLI in ring 3'
    EXPECT_EQ [caught_cs], USER_CS, 'CS of ring 3 in the frame'
    CATCH .selector
    mov eax, user_selector
    jmp to_ring3
.selector:
    EXPECT_EQ [caught], 13, 'kernel data segment in ring 3'
    EXPECT_EQ [caught_error], KERNEL_DS, 'its error code'
    CATCH .closed
    mov eax, user_int
    jmp to_ring3
.closed:
    EXPECT_EQ [caught], 13, 'INT through a gate of ring 0'
    EXPECT_EQ [caught_error], 0x29 * 8 + 2, 'its error code: the IDT entry'
    CATCH .open
    mov eax, user_open
    jmp to_ring3
.open:
    EXPECT_EQ [caught], 0x28, 'INT through a gate of ring 3'

    ; A call gate: ring 3 to ring 0 with a stack from the TSS, and back.
    CATCH .gate
    mov eax, user_gate
    jmp to_ring3
.gate:
    EXPECT_EQ [caught], 0x28, 'way back from a call gate'
    EXPECT_EQ [gate_cpl], 0, 'privilege behind a call gate'
    EXPECT_EQ [gate_esp], inner_stack_top - 16, 'stack behind a call gate'

    ; Conforming code keeps the caller's privilege.
    CATCH .conforming
    mov eax, user_conforming
    jmp to_ring3
.conforming:
    EXPECT_EQ [caught], 13, 'CLI in conforming code called from ring 3'
    EXPECT_EQ [caught_cs], CONFORM_CS | 3, 'CS of conforming code'
    ret

gate_target:
    mov ax, KERNEL_DS
    mov ds, ax
    mov ax, cs
    and eax, 3
    mov [gate_cpl], eax
    mov [gate_esp], esp
    mov ax, USER_DS
    mov ds, ax
    retf

user_cli:
    cli
user_selector:
    mov ax, KERNEL_DS
    mov fs, ax
user_stack_limit:
    mov ax, USER_SMALL_DS | 3
    mov ss, ax
    mov esp, 2
.push:
    push eax
user_stack_read:
    mov ax, USER_SMALL_DS | 3
    mov ss, ax
    mov ebp, 13
    mov eax, [ebp]
user_int:
    int 0x29
user_open:
    int USER_INT
user_gate:
    call GATE_SEL:0
    int 0x28
user_conforming:
    jmp CONFORM_CS:user_cli

section .bss
gate_cpl: resd 1
gate_esp: resd 1
